-- Take back that a step was begun: it is known to have done nothing.
-- KEYS  thread, turn
-- ARGV  claim, step
if not holds(KEYS[1], ARGV[1]) then
  return SUPERSEDED
end
redis.call('HDEL', KEYS[2], '?' .. ARGV[2])
return redis.status_reply('OK')
