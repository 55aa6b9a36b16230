-- Turn a stream entry into a claim: the messages of the turn that was begun, or a new batch.
-- KEYS thread, inbox, turn, ready, interrupts, conversation, settings, aside, later,
--   pulse
-- ARGV entry, claim, worker, name, aside_seconds, seen_beats: number, settling_seconds: number
-- Returns nil where the entry is no longer the thread's, nil or a count of corrupt messages where nothing
-- waits; else {messages, turn, thread, conversation, settings, corrupt, restored_at, interrupt}: the three
-- in the middle as flat lists of fields and values, the settings as a list of their newest versions;
-- `corrupt` counts messages that were no JSON and were set aside. Returns 'settling' for some seconds
-- after an older state was noticed, in which workers write back what they know of their turns.
local set_aside = 0

-- How many messages, from the oldest on, one turn answers; at least one.
local function bound(messages)
  local bytes = 0
  for i, message in ipairs(messages) do
    bytes = bytes + #message
    if i > 1 and (i > MAX_MESSAGES or bytes > MAX_BYTES) then
      return i - 1
    end
  end
  return #messages
end

-- The messages and their ts. Corrupt ones are set aside, so that the others are answered.
local function read(list)
  local messages, stamps = {}, {}
  for _, ts in ipairs(list) do
    local message = redis.call('HGET', inbox, ts)
    if message and kind_of(message) then
      messages[#messages + 1], stamps[#stamps + 1] = message, ts
    elseif message then
      redis.call('HSET', aside, ts, message)
      redis.call('EXPIRE', aside, aside_seconds)
      redis.call('HDEL', inbox, ts)
      set_aside = set_aside + 1
    end
  end
  return messages, stamps
end

-- All waiting messages, in Slack's order. Messages after the last reset are left for the next turn;
-- without a reset, messages after the last stop, or after the last request for another answer.
local function new_batch()
  local list = redis.call('HKEYS', inbox)
  table.sort(list, earlier)
  local messages, stamps = read(list)
  local last_of = {}
  for i, message in ipairs(messages) do
    last_of[kind_of(message)] = i
  end
  local last = last_of.reset or last_of.stop or last_of.again or bound(messages)
  for i = #messages, last + 1, -1 do
    messages[i], stamps[i] = nil, nil
  end
  return messages, stamps
end

local restored_at = notice_discontinuity(pulse, seen_beats)
if now() < tonumber(restored_at) + settling_seconds then
  return 'settling'
end
insist(thread)
if redis.call('HGET', thread, 'entry') ~= entry then
  leave(ready, entry)
  recover(ready, later, thread, name, inbox, turn)
  return false
end
local messages = read(taken(turn))
if #messages > 0 then
  local facts = redis.call('HMGET', turn, 'id', 'taken_at')
  if not facts[1] or not number(turn, facts[2]) then
    corrupt(turn)
  end
else
  drop_turn(turn, interrupts, name)
  redis.call('HDEL', thread, 'requester')
  local stamps
  messages, stamps = new_batch()
  if #messages == 0 then
    leave(ready, entry)
    redis.call('DEL', thread)
    return set_aside > 0 and set_aside or false
  end
  -- The turn's id: the same for the same question, so that a turn that restarts after the loss of
  -- its journal finds the results of the first one. A dead letter that is retried is another turn.
  local retried = redis.call('HGET', thread, 'retried') or ''
  local facts = table.concat({name, kind_of(messages[1]), stamps[1], retried}, '|')
  redis.call('HSET', turn, 'id', string.sub(redis.sha1hex(facts), 1, 16), 'taken', cjson.encode(stamps),
    'taken_at', string.format('%.6f', now()))
end
redis.call('HSET', thread, 'claim', claim, 'worker', worker)
return {messages, redis.call('HGETALL', turn), redis.call('HGETALL', thread),
  redis.call('HGETALL', conversation), redis.call('LRANGE', settings, 0, 2), set_aside, restored_at,
  redis.call('HGET', interrupts, name) or ''}
