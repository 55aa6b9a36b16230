-- Append lines to the audit trail, unless others were appended since `before` was read.
-- KEYS audit, audit_head, hold
-- ARGV before, after, oldest, lines...
-- `lines` are texts, each followed by its hash; `before` is the hash before the first one, `after` that
-- of the last one, `oldest` the oldest id to keep ('': all); under a legal hold all are kept.
-- Returns the hash of the newest line: `after` if the lines were appended.
local newest = redis.call('GET', audit_head) or ''
if newest ~= before then
  return newest
end
for i = 1, #lines, 2 do
  redis.call('XADD', audit, '*', 'line', lines[i], 'hash', lines[i + 1])
end
redis.call('SET', audit_head, after)
if oldest ~= '' and redis.call('EXISTS', hold) == 0 then
  redis.call('XTRIM', audit, 'MINID', '~', oldest)
end
return after
