-- Hand a turn what was overheard in its thread before its last message, once: it is written down
-- as a step of the turn.
-- KEYS  thread, turn, conversation, speakers, overheard
-- ARGV  claim, step, ts of the last message
-- Gives the step as JSON: {overheard: [message...], speakers: [user...], first: is a new thread}.
local thread, turn, conversation, speakers, overheard = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local step = '=' .. ARGV[2]

local function array(list)
  return #list == 0 and '[]' or cjson.encode(list)
end

if not holds(thread, ARGV[1]) then
  return SUPERSEDED
end
local done = redis.call('HGET', turn, step)
if done then
  return done
end
local before, messages = {}, {}
for _, ts in ipairs(redis.call('HKEYS', overheard)) do
  if number(overheard, ts) < tonumber(ARGV[3]) then
    before[#before + 1] = ts
  end
end
table.sort(before, earlier)
for _, ts in ipairs(before) do
  messages[#messages + 1] = parse(overheard, redis.call('HGET', overheard, ts)).message
end
local users = {}
for _, user in ipairs(redis.call('HKEYS', speakers)) do
  if string.sub(user, 1, 1) ~= '@' then
    users[#users + 1] = user
  end
end
table.sort(users)
local first = redis.call('EXISTS', conversation) == 0
local value = '{"overheard":' .. array(messages) .. ',"speakers":' .. array(users)
  .. ',"first":' .. tostring(first) .. '}'
insist(turn)
redis.call('HSET', turn, step, value)
for _, ts in ipairs(before) do
  redis.call('HDEL', overheard, ts)
end
return value
