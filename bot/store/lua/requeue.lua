-- Move a thread from a worker that is gone or releases it to the end of the stream.
-- KEYS thread, ready, later, inbox, turn
-- ARGV entry, name, crashed
-- `crashed` is 1 if this counts as a crash.
-- Returns 1 if the entry was the thread's, or the thread had none.

local is_current = redis.call('HGET', thread, 'entry') == entry
if is_current then
  ignore_memory_limit(thread)
  local begun = redis.call('HEXISTS', thread, 'claim') == 1
  enter(ready, thread, name, begun)
  if crashed == '1' and begun then
    count_up(thread, 'crashes', 1)
  end
  redis.call('HDEL', thread, 'claim', 'worker')
end
leave(ready, entry)
local recovered = not is_current and recover(ready, later, thread, name, inbox, turn)
return (is_current or recovered) and 1 or 0
