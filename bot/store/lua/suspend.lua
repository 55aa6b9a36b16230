-- Release a claim until people have decided the turn's approvals. No worker holds the thread until
-- then, and other messages wait.
-- KEYS thread, turn, ready, later, interrupts
-- ARGV claim, name, due: number, reason, known...
-- `known` are the approvals whose decision the worker has seen; `due` is when the first of the others
-- expires.
-- Returns 1 if the turn waits, 0 if something came meanwhile and it is ready again.
if not holds(thread, claim) then
  return SUPERSEDED
end

local function has_news()
  if redis.call('HEXISTS', interrupts, name) == 1 or redis.call('HEXISTS', turn, '=withdrawn') == 1 then
    return true
  end
  local seen = {}
  for _, id in ipairs(known) do
    seen['=decision:' .. id] = true
  end
  for _, field in ipairs(redis.call('HKEYS', turn)) do
    if string.sub(field, 1, 10) == '=decision:' and not seen[field] then
      return true
    end
  end
  return false
end

leave(ready, redis.call('HGET', thread, 'entry'))
redis.call('HDEL', thread, 'claim', 'worker', 'entry')
redis.call('HSET', thread, 'reason', reason)
if has_news() then
  enter(ready, thread, name, true)
  return 0
end
redis.call('ZADD', later, string.format('%.6f', due), name)
return 1
