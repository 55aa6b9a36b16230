-- Move a thread from a worker that is gone, or lets go of it, to the end of the stream.
-- KEYS  thread, ready, later, inbox, turn
-- ARGV  entry, name of the thread, 1 where it counts as a crash
-- Gives 1 where the entry was the thread's, or the thread had none.
local thread, ready, entry, name = KEYS[1], KEYS[2], ARGV[1], ARGV[2]

local is_current = redis.call('HGET', thread, 'entry') == entry
if is_current then
  insist(thread)
  local begun = redis.call('HEXISTS', thread, 'claim') == 1
  enter(ready, thread, name, begun)
  if ARGV[3] == '1' and begun then
    count_up(thread, 'crashes', 1)
  end
  redis.call('HDEL', thread, 'claim', 'worker')
end
leave(ready, entry)
local recovered = not is_current and recover(ready, KEYS[3], thread, name, KEYS[4], KEYS[5])
return (is_current or recovered) and 1 or 0
