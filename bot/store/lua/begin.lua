-- Read a step of a turn, or record the intent of it.
-- KEYS thread, turn
-- ARGV claim, step
-- Returns {recorded value or nil, 1 if the intent was recorded before}.
if not holds(thread, claim) then
  return SUPERSEDED
end
local value = redis.call('HGET', turn, '=' .. step)
if value then
  return {value, 1}
end
insist(turn)
return {false, 1 - redis.call('HSETNX', turn, '?' .. step, '')}
