-- Append a line to the audit trail, if nobody else has since `before` was read.
-- KEYS  audit, audit_head
-- ARGV  hash before ('' for the first line), hash of this line, line, oldest id to keep
-- Gives the hash of the newest line: that of this one where it was appended.
local before = redis.call('GET', KEYS[2]) or ''
if before ~= ARGV[1] then
  return before
end
redis.call('XADD', KEYS[1], '*', 'line', ARGV[3], 'hash', ARGV[2])
redis.call('SET', KEYS[2], ARGV[2])
if ARGV[4] ~= '' then
  redis.call('XTRIM', KEYS[1], 'MINID', '~', ARGV[4])
end
return ARGV[2]
