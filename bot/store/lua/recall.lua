-- Give a thread the conversation back that it began after the state that Redis came back with. A thread
-- whose conversation was used, ended or forgotten since then keeps what it has.
-- KEYS conversation, idle, recent, orphans
-- ARGV name, place, used_at, orphan, fields...
-- `orphan` names the conversation; `fields` are its fields and values.
-- Returns whether the thread lacked it.
local old = redis.call('HMGET', conversation, 'engine', 'id', 'used_at', 'archived')
local used = math.max(number(conversation, old[3]) or 0, number(conversation, old[4]) or 0)
if used >= tonumber(used_at) then
  return 0
end
insist(conversation)
redis.call('HSET', conversation, 'used_at', used_at, unpack(fields))
redis.call('HDEL', conversation, 'archived')
redis.call('ZADD', idle, used_at, name)
redis.call('ZADD', recent, used_at, place)
redis.call('ZREM', orphans, orphan)
if old[2] and old[2] ~= '' and old[1] .. '|' .. old[2] ~= orphan then
  redis.call('ZADD', orphans, used_at, old[1] .. '|' .. old[2])
end
return 1
