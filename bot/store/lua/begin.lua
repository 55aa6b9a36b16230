-- Read a step of a turn, or record the intent of it.
-- KEYS thread, turn, interrupts
-- ARGV claim, step, name
-- Returns {recorded value or nil, 1 if the intent was recorded before, interrupt or nil}.
if not holds(thread, claim) then
  return SUPERSEDED
end
local value = redis.call('HGET', turn, '=' .. step)
if value then
  return {value, 1, false}
end
insist(turn)
local again = 1 - redis.call('HSETNX', turn, '?' .. step, '')
return {false, again, redis.call('HGET', interrupts, name)}
