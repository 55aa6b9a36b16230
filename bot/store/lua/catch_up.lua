-- Give a turn what was said in its thread before its last message and not to us, once: it becomes a
-- step of the turn.
-- KEYS thread, turn, speakers, overheard
-- ARGV claim, step, last: number, first
-- Returns the step as JSON: {overheard: [message...], speakers: [user...], first: is a new thread}.
local step = '=' .. step

local function array(list)
  return #list == 0 and '[]' or cjson.encode(list)
end

if not holds(thread, claim) then
  return SUPERSEDED
end
local done = redis.call('HGET', turn, step)
if done then
  return done
end
local before, messages = {}, {}
for _, ts in ipairs(redis.call('HKEYS', overheard)) do
  if number(overheard, ts) < last then
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
local value = '{"overheard":' .. array(messages) .. ',"speakers":' .. array(users)
  .. ',"first":' .. tostring(first == '1') .. '}'
write('HSET', turn, step, value)
for _, ts in ipairs(before) do
  redis.call('HDEL', overheard, ts)
end
return value
