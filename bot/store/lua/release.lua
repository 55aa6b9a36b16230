-- Release a claim; the same turn is resumed later.
-- KEYS thread, ready, later
-- ARGV claim, name, after: number, counts, reason
-- `counts` is 1 if this counts as a failure.
-- Returns the number of failures so far.

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
