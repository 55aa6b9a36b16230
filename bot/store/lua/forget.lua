-- Part a thread from its conversation. What stays says that the thread is ours, for a while.
-- KEYS  thread, conversation, record, idle
-- ARGV  claim, name of the thread, seconds to keep a tombstone
-- Gives the conversation as it was, as a flat list of fields and values.
if not holds(KEYS[1], ARGV[1]) then
  return SUPERSEDED
end
local old = redis.call('HGETALL', KEYS[2])
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('HSET', KEYS[2], 'used_at', string.format('%.6f', now()))
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('ZREM', KEYS[4], ARGV[2])
return old
