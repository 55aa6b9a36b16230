-- Record approvals, and return their decisions. Interrupted, withdrawn or expired ones are decided
-- here, even if this call does not ask for them.
-- KEYS thread, turn, interrupts
-- ARGV claim, name, requester, approvals...
-- `approvals` are pairs of an id and an approval as JSON; one that was recorded before stays.
-- Returns the interrupt of the turn or '', then pairs: the approval as it is recorded, its decision or ''.
if not holds(thread, claim) then
  return SUPERSEDED
end
local PREFIX = '=approval:'
local interrupt, withdrawn = redis.call('HGET', interrupts, name), redis.call('HGET', turn, '=withdrawn')

local function ending(expires)
  if interrupt then
    return 'withdrawn', interrupt
  elseif withdrawn then
    local ok, reason = pcall(cjson.decode, withdrawn)
    return 'withdrawn', ok and type(reason) == 'string' and reason or ''
  elseif now() >= expires then
    return 'expired', ''
  end
end

-- Whether an approval is still open.
local function is_open(id)
  if redis.call('HEXISTS', turn, '=decision:' .. id) == 1 then
    return false
  end
  local approval = parse(turn, redis.call('HGET', turn, PREFIX .. id))
  local verdict, reason = ending(number(turn, approval.expires) or 0)
  if verdict then
    local decision = cjson.encode({verdict = verdict, reason = reason, at = now()})
    redis.call('HSET', turn, '=decision:' .. id, decision)
  end
  return not verdict
end

ignore_memory_limit(turn)
for i = 1, #approvals, 2 do
  redis.call('HSETNX', turn, PREFIX .. approvals[i], approvals[i + 1])
end
local open = false
for _, field in ipairs(redis.call('HKEYS', turn)) do
  if string.sub(field, 1, #PREFIX) == PREFIX then
    open = is_open(string.sub(field, #PREFIX + 1)) or open
  end
end
if open then
  redis.call('HSET', thread, 'requester', requester)
else
  redis.call('HDEL', thread, 'requester')
end
local reply = {interrupt or ''}
for i = 1, #approvals, 2 do
  reply[#reply + 1] = redis.call('HGET', turn, PREFIX .. approvals[i])
  reply[#reply + 1] = redis.call('HGET', turn, '=decision:' .. approvals[i]) or ''
end
return reply
