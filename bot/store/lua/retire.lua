-- Remove a consumer, unless entries are still pending to it: they would be lost with it.
-- KEYS workers, ready
-- ARGV worker
-- Returns 0 if entries are pending.
local pending = redis.pcall('XPENDING', ready, GROUP, '-', '+', 1, worker)
if pending.err or #pending > 0 then
  return 0
end
ignore_memory_limit(workers)
redis.call('XGROUP', 'DELCONSUMER', ready, GROUP, worker)
redis.call('ZREM', workers, worker)
return 1
