-- Note that messages outside of a turn are answered: they are not asked, now or when they are delivered again.
-- What was said before the last of them and not to us has been given to the model with them.
-- KEYS thread, inbox, overheard, seen...
-- ARGV claim, seen_seconds, stamps...
-- `stamps` are in order.
if not holds(thread, claim) then
  return SUPERSEDED
end
for _, mark in ipairs(seen) do
  write('SET', mark, '', 'EX', seen_seconds)
end
redis.call('HDEL', inbox, unpack(stamps))
for _, ts in ipairs(redis.call('HKEYS', overheard)) do
  if not earlier(stamps[#stamps], ts) then
    redis.call('HDEL', overheard, ts)
  end
end
return redis.status_reply('OK')
