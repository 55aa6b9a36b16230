-- Read a step of a turn, or record the intent of it, with the values of earlier steps.
-- KEYS thread, turn, interrupts, pauses...
-- ARGV claim, name, step, fields...
-- While one of the `pauses` exists, no intent is recorded. `fields` are names and values of steps.
-- Returns {recorded value or nil, 1 if the intent was recorded before, interrupt or nil, number of the
-- pause or 0}.
if not holds(thread, claim) then
  return SUPERSEDED
end
local known = redis.call('HMGET', turn, '=' .. step, '?' .. step)
local paused = 0
if #pauses > 0 and not known[1] and redis.call('EXISTS', unpack(pauses)) > 0 then
  for i, pause in ipairs(pauses) do
    paused = paused == 0 and redis.call('EXISTS', pause) == 1 and i or paused
  end
end
local changes = steps_of(fields)
if not known[1] and paused == 0 then
  changes[#changes + 1] = '?' .. step
  changes[#changes + 1] = ''
end
if #changes > 0 then
  write('HSET', turn, unpack(changes))
end
return {known[1], (known[1] or known[2]) and 1 or 0, redis.call('HGET', interrupts, name), paused}
