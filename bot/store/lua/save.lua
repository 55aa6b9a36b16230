-- Give a thread its conversation, and write the step of the turn down that made it.
-- KEYS  thread, turn, conversation, idle, recent, orphans, record
-- ARGV  claim, name of the thread, channel:thread_ts, step ('': none), value, the conversation as an
--       orphan, records that replace ours as a JSON list ('': none do),
--       fields and values of the conversation...
if not holds(KEYS[1], ARGV[1]) then
  return SUPERSEDED
end
local used_at = string.format('%.6f', now())
local old = redis.call('HMGET', KEYS[3], 'engine', 'id')
redis.call('PERSIST', KEYS[3])
redis.call('HSET', KEYS[3], 'used_at', used_at, unpack(ARGV, 8))
redis.call('ZADD', KEYS[4], used_at, ARGV[2])
redis.call('ZADD', KEYS[5], used_at, ARGV[3])
redis.call('ZREM', KEYS[6], ARGV[6])
redis.call('HDEL', KEYS[3], 'archived')
if old[2] and old[1] .. '|' .. old[2] ~= ARGV[6] then
  redis.call('ZADD', KEYS[6], used_at, old[1] .. '|' .. old[2])
  redis.call('HDEL', KEYS[3], 'turns', 'messages', 'input_tokens', 'cached_tokens',
    'output_tokens', 'reasoning_tokens')
end
if ARGV[7] ~= '' then
  local bytes = 0
  redis.call('DEL', KEYS[7])
  for _, line in ipairs(cjson.decode(ARGV[7])) do
    redis.call('RPUSH', KEYS[7], line)
    bytes = bytes + #line
  end
  redis.call('HSET', KEYS[3], 'record_bytes', bytes)
end
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[2], '=' .. ARGV[4], ARGV[5])
end
return redis.status_reply('OK')
