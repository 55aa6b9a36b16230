-- Put a worker process on the list of those that share the shards of this server, or take it off.
-- KEYS roster
-- ARGV worker, seconds: number
-- Returns all that are on it. With 0 seconds the worker leaves.

local time = now()
ignore_memory_limit(roster)
if seconds > 0 then
  redis.call('ZADD', roster, string.format('%.6f', time + seconds), worker)
else
  redis.call('ZREM', roster, worker)
end
redis.call('ZREMRANGEBYSCORE', roster, '-inf', string.format('%.6f', time))
redis.call('EXPIRE', roster, 3600)
return redis.call('ZRANGE', roster, 0, -1)
