-- Begin a turn again, with the messages that belong to it and arrived since it was taken: older ones, and
-- files of its messages.
-- KEYS thread, inbox, turn, interrupts, conversation, pulse
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
local joining, waiting, answered_until = {}, {}, maybe_answered_until(pulse)
local stored = redis.call('HGETALL', inbox)
for i = 1, #stored, 2 do
  local ts, message = stored[i], stored[i + 1]
  if not is_taken[ts] and joins(stamps, name, ts, message, answered_until) then
    joining[#joining + 1], waiting[ts] = ts, message
  end
end
table.sort(joining, earlier)
for _, ts in ipairs(joining) do
  local message = waiting[ts]
  bytes = bytes + #message
  if kind_of(message) == 'message' and #stamps < MAX_MESSAGES and bytes <= MAX_BYTES then
    stamps[#stamps + 1] = ts
  end
end
table.sort(stamps, earlier)
ignore_memory_limit(turn)
for _, field in ipairs(cjson.decode(dropped)) do
  redis.call('HDEL', turn, field)
end
for i = 1, #fields, 2 do
  redis.call('HSET', turn, fields[i], fields[i + 1])
end
redis.call('HSET', turn, 'taken', cjson.encode(stamps))
redis.call('HDEL', turn, 'late')
if redis.call('HGET', interrupts, name) == 'late' then
  redis.call('HDEL', interrupts, name)
end
for _, ts in ipairs(stamps) do
  messages[#messages + 1] = redis.call('HGET', inbox, ts) or nil
end
return {messages, redis.call('HGETALL', turn), redis.call('HGETALL', conversation)}
