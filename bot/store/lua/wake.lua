-- Make a thread ready that was to come back later.
-- KEYS  thread, ready, later
-- ARGV  name of the thread
if redis.call('ZREM', KEYS[3], ARGV[1]) == 1 and redis.call('EXISTS', KEYS[1]) == 1 then
  enter(KEYS[2], KEYS[1], ARGV[1])
end
return redis.status_reply('OK')
