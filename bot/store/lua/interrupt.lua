-- Ask for the end of the turn under way. A reset is more than a stop and stays one.
-- KEYS  turn, interrupts, later
-- ARGV  name of the thread, reason
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
insist(KEYS[2])
if redis.call('HGET', KEYS[2], ARGV[1]) ~= 'reset' then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
end
redis.call('ZADD', KEYS[3], 'XX', 0, ARGV[1])
return 1
