-- Turn a stream entry into a claim: the messages of the turn that was begun, or a new batch.
-- KEYS  thread, inbox, turn, ready, interrupts, conversation, settings of the channel
-- ARGV  entry, claim, worker, name of the thread
-- Gives nil where the entry is no longer the thread's, or nothing waits; else
-- {messages, turn, thread, conversation, settings}: the three in the middle as flat lists of fields
-- and values, the settings as a list of their newest version.
local thread, inbox, turn, ready, interrupts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local entry, claim, worker, name = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local function read(list)
  local messages = {}
  for _, ts in ipairs(list) do
    local message = redis.call('HGET', inbox, ts)
    if message then
      messages[#messages + 1] = message
    end
  end
  return messages
end

-- All that waits, in Slack's order. What stands behind the last reset is for the next turn; where
-- there is none, what stands behind the last stop, or the last wish for another answer.
local function new_batch()
  local list = redis.call('HKEYS', inbox)
  table.sort(list, earlier)
  local last_of = {}
  for i, message in ipairs(read(list)) do
    last_of[cjson.decode(message).kind] = i
  end
  local last = last_of.reset or last_of.stop or last_of.again or 0
  if last > 0 then
    for i = #list, last + 1, -1 do
      list[i] = nil
    end
  end
  return list
end

insist(thread)
if redis.call('HGET', thread, 'entry') ~= entry then
  leave(ready, entry)
  return false
end
local messages = read(taken(turn))
if #messages == 0 then
  drop_turn(turn, interrupts, name)
  local list = new_batch()
  if #list == 0 then
    leave(ready, entry)
    redis.call('DEL', thread)
    return false
  end
  messages = read(list)
  redis.call('HSET', turn, 'id', claim, 'taken', cjson.encode(list),
    'taken_at', string.format('%.6f', now()))
end
redis.call('HSET', thread, 'claim', claim, 'worker', worker)
return {messages, redis.call('HGETALL', turn), redis.call('HGETALL', thread),
  redis.call('HGETALL', KEYS[6]), redis.call('LRANGE', KEYS[7], 0, 0)}
