-- Store a person's decision about an approval, unless it is too late, and make its turn ready.
-- KEYS thread, turn, ready, later, interrupts
-- ARGV name, turn_id, id, shown, decision
-- `shown` is the hash of what the person has seen.
-- Returns {outcome, decision}: 'decided' with this one, 'earlier' with the one that was stored before;
-- 'gone' (the turn is over, or what it asks was withdrawn), 'changed' or 'expired' with ''.
local text = redis.call('HGET', turn, '=approval:' .. id)
if redis.call('HGET', turn, 'id') ~= turn_id or not text then
  return {'gone', ''}
end
local earlier = redis.call('HGET', turn, '=decision:' .. id)
if earlier then
  return {'earlier', earlier}
end
if redis.call('HEXISTS', interrupts, name) == 1 or redis.call('HEXISTS', turn, '=withdrawn') == 1 then
  return {'gone', ''}
end
local approval = parse(turn, text)
if approval.shown ~= shown then
  return {'changed', ''}
end
if now() >= (number(turn, approval.expires) or 0) then
  return {'expired', ''}
end
write('HSET', turn, '=decision:' .. id, decision)
resume(ready, later, thread, name)
return {'decided', decision}
