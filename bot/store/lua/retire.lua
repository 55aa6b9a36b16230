-- Remove a consumer, unless entries are still pending to it: they would be lost with it.
-- KEYS  workers, ready
-- ARGV  worker
local pending = redis.pcall('XPENDING', KEYS[2], GROUP, '-', '+', 1, ARGV[1])
if pending.err or #pending > 0 then
  return 0
end
insist(KEYS[1])
redis.call('XGROUP', 'DELCONSUMER', KEYS[2], GROUP, ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
