-- Record the value of a step.
-- KEYS thread, turn, interrupts
-- ARGV claim, step, value, name
-- Returns the interrupt of the turn or nil.
if not holds(thread, claim) then
  return SUPERSEDED
end
insist(turn)
redis.call('HSET', turn, '=' .. step, value)
return redis.call('HGET', interrupts, name)
