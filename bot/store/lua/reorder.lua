-- Begin a turn again, with the older messages that arrived since it was taken.
-- KEYS thread, inbox, turn, interrupts, conversation
-- ARGV claim, name, dropped, fields...
-- `dropped` is a JSON list of the fields of the journal that no longer hold; `fields` are fields and
-- values that are set in their place.
-- Returns {messages, turn, conversation}; the last two as flat lists of fields and values.
if not holds(thread, claim) then
  return SUPERSEDED
end
local messages, stamps, bytes, is_taken = {}, taken(turn), 0, {}
for _, ts in ipairs(stamps) do
  is_taken[ts] = true
  bytes = bytes + redis.call('HSTRLEN', inbox, ts)
end
local newest, older = stamps[#stamps], {}
for _, ts in ipairs(redis.call('HKEYS', inbox)) do
  if not is_taken[ts] and earlier(ts, newest) then
    older[#older + 1] = ts
  end
end
table.sort(older, earlier)
for _, ts in ipairs(older) do
  local message = redis.call('HGET', inbox, ts)
  bytes = bytes + #message
  if kind_of(message) == 'message' and #stamps < MAX_MESSAGES and bytes <= MAX_BYTES then
    stamps[#stamps + 1] = ts
  end
end
table.sort(stamps, earlier)
insist(turn)
for _, field in ipairs(cjson.decode(dropped)) do
  redis.call('HDEL', turn, field)
end
for i = 1, #fields, 2 do
  redis.call('HSET', turn, fields[i], fields[i + 1])
end
redis.call('HSET', turn, 'taken', cjson.encode(stamps))
if redis.call('HGET', interrupts, name) == 'late' then
  redis.call('HDEL', interrupts, name)
end
for _, ts in ipairs(stamps) do
  messages[#messages + 1] = redis.call('HGET', inbox, ts) or nil
end
return {messages, redis.call('HGETALL', turn), redis.call('HGETALL', conversation)}
