-- Ask for the end of the turn under way. A reset overrides a stop.
-- KEYS turn, interrupts, later
-- ARGV name, reason, by, most: number
-- `by` is who asks for it and why, as one word; a worker checks later whether one of them may. At most
-- `most` characters are kept, of those who asked last. An interrupt `late` that is replaced is noted.
-- Returns 0 if no turn is under way.
if redis.call('EXISTS', turn) == 0 then
  return 0
end
local asked = redis.call('HGET', turn, 'asked') or ''
ignore_memory_limit(interrupts)
local before = redis.call('HGET', interrupts, name)
if before ~= 'reset' then
  redis.call('HSET', interrupts, name, reason)
end
if before == 'late' then
  redis.call('HSET', turn, 'late', '')
end
if not string.find(' ' .. asked .. ' ', ' ' .. by .. ' ', 1, true) then
  local words = asked == '' and by or asked .. ' ' .. by
  if #words > most then
    words = string.gsub(string.sub(words, -most), '^%S*%s*', '')
  end
  redis.call('HSET', turn, 'asked', words)
end
redis.call('ZADD', later, 'XX', 0, name)
return 1
