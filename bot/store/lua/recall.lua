-- Give a thread the conversation back that it began after the state that Redis came back with. A thread
-- whose conversation was used, ended or forgotten since then keeps what it has, and so does one whose next
-- turn was taken meanwhile: the other conversation becomes an orphan.
-- KEYS thread, turn, conversation, idle, recent, orphans, record, pulse
-- ARGV name, place, used_at, orphan, fields...
-- `orphan` names the conversation; `fields` are its fields and values.
-- Returns whether the thread lacked it.
local old = redis.call('HMGET', conversation, 'engine', 'id', 'used_at', 'archived')
local used = math.max(number(conversation, old[3]) or 0, number(conversation, old[4]) or 0)
local known = (old[1] or '') .. '|' .. (old[2] or '')

local function is_taken_meanwhile()
  local restored_at = time_of_restore(pulse)
  local taken_at = tonumber(redis.call('HGET', turn, 'taken_at')) or 0
  return restored_at > 0 and taken_at > restored_at and redis.call('HEXISTS', thread, 'claim') == 1
end

if used >= tonumber(used_at) or is_taken_meanwhile() then
  if known ~= orphan then
    write('ZADD', orphans, 'NX', used_at, orphan)
  end
  return 0
end
revive(conversation, record)
redis.call('ZADD', idle, used_at, name)
redis.call('ZADD', recent, used_at, place)
redis.call('ZREM', orphans, orphan)
if old[2] and old[2] ~= '' and known ~= orphan then
  redis.call('ZADD', orphans, used_at, known)
end
redis.call('HSET', conversation, 'used_at', used_at, unpack(fields))
redis.call('HDEL', conversation, 'archived')
return 1
