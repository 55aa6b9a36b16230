-- Detach a thread from its conversation, which becomes an orphan. A tombstone keeps the thread ours for a while.
-- KEYS thread, conversation, record, idle, orphans
-- ARGV claim, name, tombstone_seconds
-- Returns the conversation as it was, as a flat list of fields and values.
if not holds(thread, claim) then
  return SUPERSEDED
end
local old = redis.call('HGETALL', conversation)
local facts = redis.call('HMGET', conversation, 'engine', 'id')
if facts[2] and facts[2] ~= '' then
  redis.call('ZADD', orphans, string.format('%.6f', now()), facts[1] .. '|' .. facts[2])
end
redis.call('DEL', conversation, record)
redis.call('HSET', conversation, 'used_at', string.format('%.6f', now()))
redis.call('EXPIRE', conversation, tombstone_seconds)
redis.call('ZREM', idle, name)
return old
