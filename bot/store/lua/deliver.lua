-- Store a message, unless it was seen before, and make its thread ready.
-- KEYS  inbox, thread, turn, ready, seen marks...
-- ARGV  ts, message, name of the thread, seconds to remember the marks, messages kept
-- Gives {1: is new, 0: was seen, -1: too many messages are kept; how many wait, a turn is under way}.
local inbox, thread, turn, ready = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local function delivery(new)
  return {new, redis.call('HLEN', inbox) - #taken(turn), redis.call('EXISTS', turn)}
end

for i = 5, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    return delivery(0)
  end
end
if redis.call('HLEN', inbox) >= tonumber(ARGV[5]) then
  return delivery(-1)
end
-- The first write: it fails as a whole where the server has no memory left.
redis.call('HSET', inbox, ARGV[1], ARGV[2])
if redis.call('EXISTS', thread) == 0 then
  enter(ready, thread, ARGV[3])
end
for i = 5, #KEYS do
  redis.call('SET', KEYS[i], '', 'EX', ARGV[4])
end
return delivery(1)
