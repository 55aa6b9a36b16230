-- Write back what a worker knows of a turn that it is working on, after Redis came back with an older
-- state. If that state lacks the claim, the turn becomes ready to be resumed. A turn that has ended in that
-- state stays as it is: only the reply to its worker was lost.
-- KEYS thread, inbox, turn, ready, later, interrupts, conversation, idle, orphans, record, seen...
-- ARGV claim, name, id, taken_at, attempts, crashes, seen_seconds, stamps, texts,
--   conversation_fields, fields...
-- `stamps` (the ts of the messages), `texts` (the messages) and `conversation_fields` (fields and values,
-- '[]' for none) are JSON lists; `fields` are fields and values of the journal.
-- Returns 'held', 'ready' or 'ended'.
local stamp_list, text_list = cjson.decode(stamps), cjson.decode(texts)

-- A message is marked when it enters the inbox, and leaves it only when a turn ends.
local function has_ended()
  if #seen == 0 or redis.call('EXISTS', unpack(seen)) < #seen then
    return false
  end
  for _, text in ipairs(redis.call('HMGET', inbox, unpack(stamp_list))) do
    if text then
      return false
    end
  end
  return true
end

if not holds(thread, claim) and has_ended() then
  return 'ended'
end
for i, ts in ipairs(stamp_list) do
  redis.call('HSET', inbox, ts, text_list[i])
end
for _, mark in ipairs(seen) do
  redis.call('SET', mark, '', 'EX', seen_seconds)
end
if redis.call('HGET', turn, 'id') ~= id then
  drop_turn(turn, interrupts, name)
end
redis.call('HSET', turn, 'id', id, 'taken', stamps, 'taken_at', taken_at)
for i = 1, #fields, 2 do
  redis.call('HSET', turn, fields[i], fields[i + 1])
end
local known = cjson.decode(conversation_fields)
if #known > 0 then
  local own = {}
  for i = 1, #known, 2 do
    own[known[i]] = known[i + 1]
  end
  local old = redis.call('HMGET', conversation, 'engine', 'id')
  if not old[2] or (old[2] ~= '' and old[2] ~= own.id) then
    revive(conversation, record)
    local used_at = string.format('%.6f', now())
    redis.call('ZADD', idle, used_at, name)
    redis.call('ZREM', orphans, own.engine .. '|' .. own.id)
    if old[2] then
      redis.call('ZADD', orphans, used_at, old[1] .. '|' .. old[2])
    end
    redis.call('HSET', conversation, 'used_at', used_at, unpack(known))
  end
end
if holds(thread, claim) then
  return 'held'
end
local entry = redis.call('HGET', thread, 'entry')
if entry then
  redis.pcall('XACK', ready, GROUP, entry)
  redis.pcall('XDEL', ready, entry)
end
redis.call('ZREM', later, name)
redis.call('HDEL', thread, 'claim', 'worker')
redis.call('HSET', thread, 'attempts', attempts, 'crashes', crashes)
enter(ready, thread, name, true)
return 'ready'
