-- Change the text of a waiting message, or remove it.
-- KEYS thread, inbox, turn, interrupts, ready, later, seen
-- ARGV ts, name, message, withdraws
-- `message` is '' to remove it; `withdraws` is 1 if a person did this, which withdraws what the
-- turn of the message asks people to approve.
-- Returns 'waiting', 'taken' (too late) or 'absent'.
local DELETED = 'deleted'

local function is_taken()
  for _, other in ipairs(taken(turn)) do
    if other == ts then
      return true
    end
  end
  return false
end

-- A worker holds the turn, or has begun a step of it.
local function is_begun()
  if redis.call('HEXISTS', thread, 'claim') == 1 then
    return true
  end
  for _, field in ipairs(redis.call('HKEYS', turn)) do
    local mark = string.sub(field, 1, 1)
    if mark == '?' or mark == '=' then
      return true
    end
  end
  return false
end

-- For `bot why`. Best effort: a deletion succeeds even if memory is full.
if message == '' then
  redis.pcall('SET', seen, DELETED, 'XX', 'KEEPTTL')
end
if redis.call('HEXISTS', inbox, ts) == 0 then
  return 'absent'
end
local in_turn = is_taken()
if in_turn and is_begun() then
  if withdraws == '1' and redis.call('HEXISTS', thread, 'requester') == 1 then
    withdraw_approvals(thread, turn, ready, later, name, 'edit')
  end
  return 'taken'
end
if message ~= '' then
  write('HSET', inbox, ts, message)
  return 'waiting'
end
redis.call('HDEL', inbox, ts)
if in_turn then
  drop_turn(turn, interrupts, name)
end
return 'waiting'
