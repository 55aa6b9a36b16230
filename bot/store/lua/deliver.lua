-- Store a message, unless it was seen before, and make its thread ready.
-- What was overheard behind it in its thread comes along: it was delivered before the mention was.
-- KEYS  inbox, thread, turn, ready, overheard, seen marks...
-- ARGV  ts, message, name of the thread, seconds to remember the marks
-- Gives {is new, how many wait, a turn is under way}.
local inbox, thread, turn, ready, overheard = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local function delivery(new)
  return {new, redis.call('HLEN', inbox) - #taken(turn), redis.call('EXISTS', turn)}
end

local function is_seen(marks, first)
  for i = first, #marks do
    if redis.call('EXISTS', marks[i]) == 1 then
      return true
    end
  end
  return false
end

if is_seen(KEYS, 6) then
  return delivery(0)
end
-- The first write: it fails as a whole where the server has no memory left.
redis.call('HSET', inbox, ARGV[1], ARGV[2])
if redis.call('EXISTS', thread) == 0 then
  enter(ready, thread, ARGV[3])
end
for i = 6, #KEYS do
  redis.call('SET', KEYS[i], '', 'EX', ARGV[4])
end
local kept = redis.call('HGETALL', overheard)
for i = 1, #kept, 2 do
  local parts = cjson.decode(kept[i + 1])
  if tonumber(kept[i]) > tonumber(ARGV[1]) and not is_seen(parts, 2) then
    redis.call('HSET', inbox, kept[i], parts[1])
    for j = 2, #parts do
      redis.call('SET', parts[j], '', 'EX', ARGV[4])
    end
  end
end
redis.call('DEL', overheard)
return delivery(1)
