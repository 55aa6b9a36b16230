-- Keep a message aside that nobody addressed to us, unless its thread is ours.
-- KEYS  conversation, thread, overheard
-- ARGV  ts, JSON list of the message and the names of its seen marks, seconds to keep it
-- Gives 1 where the thread is ours: then it is to be delivered.
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then
  return 1
end
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[3], ARGV[3])
return 0
