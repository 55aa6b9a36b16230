-- Put a dead letter's messages back into the inbox of their thread.
-- KEYS  dead, inbox, thread, ready
-- ARGV  name of the letter, name of the thread, ts and message of each...
-- Gives 0 where somebody else took the letter meanwhile.
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then
  return 0
end
for i = 3, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
if redis.call('EXISTS', KEYS[3]) == 0 then
  enter(KEYS[4], KEYS[3], ARGV[2])
end
return 1
