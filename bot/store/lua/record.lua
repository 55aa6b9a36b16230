-- Record the values of steps.
-- KEYS thread, turn, interrupts
-- ARGV claim, name, fields...
-- `fields` are names and values of steps.
-- Returns the interrupt of the turn or nil.
if not holds(thread, claim) then
  return SUPERSEDED
end
write('HSET', turn, unpack(steps_of(fields)))
return redis.call('HGET', interrupts, name)
