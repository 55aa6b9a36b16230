-- Read a step of a turn, or record that it is about to be taken.
-- KEYS thread, turn
-- ARGV claim, step
-- Returns {recorded value or nil, 1 where it was about to be taken before}.
if not holds(thread, claim) then
  return SUPERSEDED
end
local value = redis.call('HGET', turn, '=' .. step)
if value then
  return {value, 1}
end
insist(turn)
return {false, 1 - redis.call('HSETNX', turn, '?' .. step, '')}
