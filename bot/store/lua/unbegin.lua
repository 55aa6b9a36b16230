-- Forget that a step was begun: it is known to have had no effect.
-- KEYS thread, turn
-- ARGV claim, step
if not holds(thread, claim) then
  return SUPERSEDED
end
redis.call('HDEL', turn, '?' .. step)
return redis.status_reply('OK')
