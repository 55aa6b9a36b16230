-- Remove a person from a thread: their messages, the answers to them, and what they said in between.
-- The record of the others stays; the remote conversation becomes an orphan.
-- KEYS thread, conversation, record, idle, orphans, speakers, overheard, recent
-- ARGV claim, name, place, user, owed, tombstone_seconds
if not holds(thread, claim) then
  return SUPERSEDED
end

local function decoded(text)
  local ok, value = pcall(cjson.decode, text)
  return ok and type(value) == 'table' and value or {}
end

local theirs, kept, bytes = {}, {}, 0
local lines = redis.call('LRANGE', record, 0, -1)
for _, line in ipairs(lines) do
  local said = decoded(line)
  if said.role == 'user' and said.user_id == user then
    theirs[said.ts] = true
  end
end
for _, line in ipairs(lines) do
  if not theirs[decoded(line).ts] then
    kept[#kept + 1] = line
    bytes = bytes + #line
  end
end
redis.call('DEL', record)
for _, line in ipairs(kept) do
  redis.call('RPUSH', record, line)
end

for _, ts in ipairs(redis.call('HKEYS', overheard)) do
  if decoded(redis.call('HGET', overheard, ts)).user == user then
    redis.call('HDEL', overheard, ts)
  end
end
local facts = redis.call('HGETALL', conversation)
for i = 1, #facts, 2 do
  if string.sub(facts[i], 1, 6) == 'allow:' and facts[i + 1] == user then
    redis.call('HDEL', conversation, facts[i])
  end
end
redis.call('HDEL', speakers, user, '@' .. user)
redis.call('ZREM', recent, place)

local old = redis.call('HMGET', conversation, 'engine', 'id', 'user_id')
if not old[2] then
  redis.call('EXPIRE', record, tombstone_seconds)  -- no index has a thread without a conversation
  return redis.status_reply('OK')
end
if old[2] ~= '' then
  redis.call('ZADD', orphans, string.format('%.6f', now()), old[1] .. '|' .. old[2])
end
if #kept == 0 then
  redis.call('DEL', conversation)
  redis.call('HSET', conversation, 'used_at', string.format('%.6f', now()))
  redis.call('EXPIRE', conversation, tombstone_seconds)
  redis.call('ZREM', idle, name)
  return redis.status_reply('OK')
end
redis.call('HSET', conversation, 'engine', '', 'id', '', 'last_item_id', '', 'record_bytes', bytes,
  'owed', owed)
if old[3] == user then
  redis.call('HSET', conversation, 'user_id', '')
end
return redis.status_reply('OK')
