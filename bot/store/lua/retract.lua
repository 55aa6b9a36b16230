-- Remove a person's message from our own record.
-- KEYS thread, conversation, record
-- ARGV claim, ts
if not holds(thread, claim) then
  return SUPERSEDED
end
for _, line in ipairs(redis.call('LRANGE', record, 0, -1)) do
  local entry = parse(record, line)
  if entry.role == 'user' and entry.ts == ts then
    redis.call('LREM', record, 1, line)
    add(conversation, 'record_bytes', -#line)
  end
end
return redis.status_reply('OK')
