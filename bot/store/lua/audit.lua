-- Append a line to the audit trail, unless another was appended since `before` was read.
-- KEYS audit, audit_head
-- ARGV before, after, line, oldest
-- `before` and `after` are hashes, `oldest` the oldest id to keep ('': all).
-- Returns the hash of the newest line: `after` where the line was appended.
local newest = redis.call('GET', audit_head) or ''
if newest ~= before then
  return newest
end
redis.call('XADD', audit, '*', 'line', line, 'hash', after)
redis.call('SET', audit_head, after)
if oldest ~= '' then
  redis.call('XTRIM', audit, 'MINID', '~', oldest)
end
return after
