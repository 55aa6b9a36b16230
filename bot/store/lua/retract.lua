-- Take a person's message out of our own record.
-- KEYS  thread, conversation, record
-- ARGV  claim, ts of the message
if not holds(KEYS[1], ARGV[1]) then
  return SUPERSEDED
end
for _, line in ipairs(redis.call('LRANGE', KEYS[3], 0, -1)) do
  local record = parse(KEYS[3], line)
  if record.role == 'user' and record.ts == ARGV[2] then
    redis.call('LREM', KEYS[3], 1, line)
    add(KEYS[2], 'record_bytes', -#line)
  end
end
return redis.status_reply('OK')
