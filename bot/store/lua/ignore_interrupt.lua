-- Remove an interrupt that no one who asked for it has a right to, unless more have asked since.
-- KEYS turn, interrupts
-- ARGV name, asked
-- Returns whether it was removed.
if redis.call('HGET', turn, 'asked') ~= asked then
  return 0
end
redis.call('HDEL', turn, 'asked')
redis.call('HDEL', interrupts, name)
return 1
