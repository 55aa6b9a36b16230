-- Remove an interrupt that no one who asked for it has a right to, unless more have asked since. An
-- interrupt `late` that it has replaced counts again.
-- KEYS turn, interrupts
-- ARGV name, asked
-- Returns whether it was removed.
if redis.call('HGET', turn, 'asked') ~= asked then
  return 0
end
if redis.call('HDEL', turn, 'asked', 'late') == 2 then
  redis.call('HSET', interrupts, name, 'late')
else
  redis.call('HDEL', interrupts, name)
end
return 1
