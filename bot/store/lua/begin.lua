-- Read a step of a turn, or write down that it is about to be taken.
-- KEYS  thread, turn
-- ARGV  claim, step
-- Gives {recorded value or nil, 1 where it was about to be taken before}.
if not holds(KEYS[1], ARGV[1]) then
  return SUPERSEDED
end
local value = redis.call('HGET', KEYS[2], '=' .. ARGV[2])
if value then
  return {value, 1}
end
insist(KEYS[2])
return {false, 1 - redis.call('HSETNX', KEYS[2], '?' .. ARGV[2], '')}
