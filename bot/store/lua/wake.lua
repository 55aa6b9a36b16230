-- Make a thread ready before its time in `later`.
-- KEYS thread, ready, later
-- ARGV name
if redis.call('ZREM', later, name) == 1 and redis.call('EXISTS', thread) == 1 then
  enter(ready, thread, name)
end
return redis.status_reply('OK')
