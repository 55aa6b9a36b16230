-- Detach a thread from its conversation. A tombstone keeps the thread ours for a while.
-- KEYS thread, conversation, record, idle
-- ARGV claim, name, tombstone_seconds
-- Returns the conversation as it was, as a flat list of fields and values.
if not holds(thread, claim) then
  return SUPERSEDED
end
local old = redis.call('HGETALL', conversation)
redis.call('DEL', conversation, record)
redis.call('HSET', conversation, 'used_at', string.format('%.6f', now()))
redis.call('EXPIRE', conversation, tombstone_seconds)
redis.call('ZREM', idle, name)
return old
