-- Turn an idle conversation into a tombstone; what it has on the server becomes an orphan.
-- KEYS  thread, conversation, record, idle, orphans, speakers, overheard, recent...
-- ARGV  name of the thread, channel:thread_ts, archive only if used before, seconds of a tombstone
-- Gives 'archived', 'busy' (somebody waits or works there) or 'used' (since).
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 'busy'
end
local used_at = redis.call('ZSCORE', KEYS[4], ARGV[1])
if used_at and ARGV[3] ~= '+inf' and tonumber(used_at) >= tonumber(ARGV[3]) then
  return 'used'
end
redis.call('ZREM', KEYS[4], ARGV[1])
for i = 8, #KEYS do
  redis.call('ZREM', KEYS[i], ARGV[2])
end
local facts = redis.call('HMGET', KEYS[2], 'engine', 'id')
redis.call('DEL', KEYS[3], KEYS[6], KEYS[7])
if facts[2] then
  redis.call('ZADD', KEYS[5], string.format('%.6f', now()), facts[1] .. '|' .. facts[2])
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[2], 'archived', used_at or string.format('%.6f', now()))
  redis.call('EXPIRE', KEYS[2], ARGV[4])
end
return 'archived'
