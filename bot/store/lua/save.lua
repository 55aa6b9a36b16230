-- Give a thread its conversation, and record the step of the turn that began it.
-- KEYS thread, turn, conversation, idle, recent, orphans, record, begun
-- ARGV claim, name, place, step, value, orphan, records, most_begun, begun_seconds, fields...
-- `step` is '' for none; `orphan` names the conversation as an orphan; `records` is a JSON list that
-- replaces our record ('': none does); `fields` are fields and values of the conversation. If the claim is
-- lost, the conversation becomes an orphan. `web` reads the stream `begun`: the newest `most_begun`
-- of the last `begun_seconds`.
local used_at = string.format('%.6f', now())
local old = redis.call('HMGET', conversation, 'engine', 'id', 'archived')
if not holds(thread, claim) then
  -- Unless the call is a repetition: its first reply was lost.
  if (old[1] or '') .. '|' .. (old[2] or '') ~= orphan then
    write('ZADD', orphans, 'NX', used_at, orphan)
  end
  return SUPERSEDED
end
revive(conversation, record)
-- What may stop at a corrupt key comes before the conversation, which says what the old one was.
redis.call('XADD', begun, 'MAXLEN', '~', most_begun, '*', 'thread', name, 'used_at', used_at,
  'fields', cjson.encode(fields))
redis.call('XTRIM', begun, 'MINID', string.format('%.0f', (used_at - begun_seconds) * 1000))
redis.call('EXPIRE', begun, begun_seconds)
redis.call('ZADD', idle, used_at, name)
redis.call('ZADD', recent, used_at, place)
redis.call('ZREM', orphans, orphan)
local is_other = old[2] and old[2] ~= '' and old[1] .. '|' .. old[2] ~= orphan
if is_other then
  redis.call('ZADD', orphans, used_at, old[1] .. '|' .. old[2])
end
redis.call('HSET', conversation, 'used_at', used_at, unpack(fields))
if old[3] then
  redis.call('HDEL', conversation, 'archived')
end
if is_other then
  redis.call('HDEL', conversation, 'turns', 'messages', 'input_tokens', 'cached_tokens',
    'output_tokens', 'reasoning_tokens')
end
if records ~= '' then
  local bytes = 0
  redis.call('DEL', record)
  for _, line in ipairs(cjson.decode(records)) do
    redis.call('RPUSH', record, line)
    bytes = bytes + #line
  end
  redis.call('HSET', conversation, 'record_bytes', bytes)
end
if step ~= '' then
  -- Workers of the version before look at the intent.
  redis.call('HSET', turn, '?' .. step, '', '=' .. step, value)
end
return redis.status_reply('OK')
