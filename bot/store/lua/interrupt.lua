-- Ask for the end of the turn under way. A reset overrides a stop.
-- KEYS turn, interrupts, later
-- ARGV name, reason
-- Returns 0 where no turn is under way.
if redis.call('EXISTS', turn) == 0 then
  return 0
end
insist(interrupts)
if redis.call('HGET', interrupts, name) ~= 'reset' then
  redis.call('HSET', interrupts, name, reason)
end
redis.call('ZADD', later, 'XX', 0, name)
return 1
