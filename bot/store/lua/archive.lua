-- Turn an idle conversation into a tombstone; its remote conversation becomes an orphan.
-- KEYS thread, conversation, record, idle, orphans, speakers, overheard, recent...
-- ARGV name, place, before, tombstone_seconds
-- Only a conversation last used before `before` is archived; `place` is channel:thread_ts.
-- Returns 'archived', 'busy' (messages wait or are being answered) or 'used' (since).
if redis.call('EXISTS', thread) == 1 then
  return 'busy'
end
local used_at = redis.call('ZSCORE', idle, name)
if used_at and before ~= '+inf' and tonumber(used_at) >= tonumber(before) then
  return 'used'
end
redis.call('ZREM', idle, name)
for _, key in ipairs(recent) do
  redis.call('ZREM', key, place)
end
local facts = redis.call('HMGET', conversation, 'engine', 'id')
redis.call('DEL', record, speakers, overheard)
if facts[2] then
  if facts[2] ~= '' then
    redis.call('ZADD', orphans, string.format('%.6f', now()), facts[1] .. '|' .. facts[2])
  end
  redis.call('DEL', conversation)
  redis.call('HSET', conversation, 'archived', used_at or string.format('%.6f', now()))
  redis.call('EXPIRE', conversation, tombstone_seconds)
end
return 'archived'
