-- Turn a stream entry into a claim: the messages of the turn that was begun, or a new batch.
-- KEYS thread, inbox, turn, ready, interrupts, conversation, settings, aside, later,
--   pulse, overheard, speakers, record
-- ARGV entry, claim, worker, name, aside_seconds, seen_beats: number, settling_seconds: number
-- Returns nil if the entry is no longer the thread's, nil or a count of corrupt messages if nothing
-- waits; else {messages, turn, thread, conversation, settings, corrupt, restored_at, interrupt, how many
-- messages were overheard, speakers, whether there may be a record}: the three in the middle as flat lists
-- of fields and values, the settings as a list of their newest versions;
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
local function read(list, texts)
  local messages, stamps = {}, {}
  for i, ts in ipairs(list) do
    local message = texts[i]
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
  local waiting, list, texts = fields_of(inbox), {}, {}
  for ts in pairs(waiting) do
    list[#list + 1] = ts
  end
  table.sort(list, earlier)
  for i, ts in ipairs(list) do
    texts[i] = waiting[ts]
  end
  local messages, stamps = read(list, texts)
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
local time = now()
if time < tonumber(restored_at) + settling_seconds then
  return 'settling'
end
local state = fields_of(thread)
if state.entry ~= entry then
  leave(ready, entry)
  recover(ready, later, thread, name, inbox, turn)
  return false
end
local journal, messages, interrupt = fields_of(turn), {}, ''
local in_turn = journal.taken and parse(turn, journal.taken) or {}
if #in_turn > 0 then
  ignore_memory_limit(thread)
  messages = read(in_turn, redis.call('HMGET', inbox, unpack(in_turn)))
end
if #messages > 0 then
  if not journal.id or not number(turn, journal.taken_at) then
    corrupt(turn)
  end
  interrupt = redis.call('HGET', interrupts, name) or ''
else
  redis.call('HDEL', interrupts, name)  -- first: a server without memory accepts it, and then the rest
  if next(journal) then
    redis.call('DEL', turn)
  end
  if state.requester then
    redis.call('HDEL', thread, 'requester')
    state.requester = nil
  end
  local stamps
  messages, stamps = new_batch()
  if #messages == 0 then
    leave(ready, entry)
    redis.call('DEL', thread)
    return set_aside > 0 and set_aside or false
  end
  -- The turn's id: the same for the same question, so that a turn that restarts after the loss of
  -- its journal finds the results of the first one. A dead letter that is retried is another turn.
  local facts = table.concat({name, kind_of(messages[1]), stamps[1], state.retried or ''}, '|')
  journal = {id = string.sub(redis.sha1hex(facts), 1, 16), taken = cjson.encode(stamps),
    taken_at = string.format('%.6f', time)}
  redis.call('HSET', turn, unpack(flat(journal)))
end
redis.call('HSET', thread, 'claim', claim, 'worker', worker)
local known = redis.call('HGETALL', conversation)
return {messages, flat(journal), flat(state), known, redis.call('LRANGE', settings, 0, 2), set_aside,
  restored_at, interrupt, redis.call('HLEN', overheard), redis.call('HKEYS', speakers),
  #known > 0 and 1 or redis.call('EXISTS', record)}
