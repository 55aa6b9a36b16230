-- Lay a claim down, to come back to the same turn later.
-- KEYS  thread, ready, later
-- ARGV  claim, name of the thread, seconds, 1 where it counts as a failure, reason
-- Gives the number of failures so far.
local thread, ready, later = KEYS[1], KEYS[2], KEYS[3]
local claim, name, after, counts, reason = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]

if not holds(thread, claim) then
  return SUPERSEDED
end
leave(ready, redis.call('HGET', thread, 'entry'))
redis.call('HDEL', thread, 'claim', 'worker', 'entry')
redis.call('HSET', thread, 'reason', reason)
local attempts = count_up(thread, 'attempts', counts)
if after > 0 then
  redis.call('ZADD', later, string.format('%.6f', now() + after), name)
else
  enter(ready, thread, name)
end
return attempts
