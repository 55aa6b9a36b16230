-- Write down what a step of a turn gave.
-- KEYS  thread, turn
-- ARGV  claim, step, value
if not holds(KEYS[1], ARGV[1]) then
  return SUPERSEDED
end
insist(KEYS[2])
redis.call('HSET', KEYS[2], '=' .. ARGV[2], ARGV[3])
return redis.status_reply('OK')
