-- Replace the lines of an idle thread's record with shorter ones, or with none.
-- KEYS thread, conversation, record
-- ARGV length: number, lines...
-- `length` is the number of lines that the caller has read.
-- Returns 'busy' (messages wait or are being answered), 'changed' (since the caller read it) or 'done'.
if redis.call('EXISTS', thread) == 1 then
  return 'busy'
end
if redis.call('LLEN', record) ~= length then
  return 'changed'
end
local bytes = 0
redis.call('DEL', record)
for _, line in ipairs(lines) do
  redis.call('RPUSH', record, line)
  bytes = bytes + #line
end
if redis.call('HEXISTS', conversation, 'record_bytes') == 1 then
  redis.call('HSET', conversation, 'record_bytes', bytes)
end
return 'done'
