-- Replace a person's name in the counts of one day in one channel.
-- KEYS used, usage, top_people, spent_day, spent_month
-- ARGV member, channel, person, substitute, sum_seconds, kinds...
-- `member` is the entry of `used`; the sums are those of `substitute`.
for _, kind in ipairs(kinds) do
  local field = channel .. ':' .. person .. ':' .. kind
  local count = redis.call('HGET', usage, field)
  if count then
    add(usage, channel .. ':' .. substitute .. ':' .. kind, number(usage, count))
    redis.call('HDEL', usage, field)
    for _, sum in ipairs({spent_day, spent_month}) do
      add(sum, kind, count)
      redis.call('EXPIRE', sum, sum_seconds)
    end
  end
end
local tokens = redis.call('ZSCORE', top_people, person)
if tokens then
  redis.call('ZINCRBY', top_people, tokens, substitute)
  redis.call('ZREM', top_people, person)
end
redis.call('SREM', used, member)
return redis.status_reply('OK')
