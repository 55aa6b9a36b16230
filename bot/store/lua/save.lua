-- Give a thread its conversation, and write the step of the turn down that made it.
-- KEYS  thread, turn, conversation, idle, recent
-- ARGV  claim, name of the thread, channel:thread_ts, step ('': none), value,
--       fields and values of the conversation...
if not holds(KEYS[1], ARGV[1]) then
  return SUPERSEDED
end
local used_at = string.format('%.6f', now())
redis.call('PERSIST', KEYS[3])
redis.call('HSET', KEYS[3], 'used_at', used_at, unpack(ARGV, 6))
redis.call('ZADD', KEYS[4], used_at, ARGV[2])
redis.call('ZADD', KEYS[5], used_at, ARGV[3])
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[2], '=' .. ARGV[4], ARGV[5])
end
return redis.status_reply('OK')
