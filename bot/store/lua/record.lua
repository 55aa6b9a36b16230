-- Record the value of a step.
-- KEYS thread, turn
-- ARGV claim, step, value
if not holds(thread, claim) then
  return SUPERSEDED
end
insist(turn)
redis.call('HSET', turn, '=' .. step, value)
return redis.status_reply('OK')
