-- Rename a corrupt key and let the copy expire.
-- KEYS key, aside
-- ARGV right_type, seconds: number
-- With a `right_type`, only if the key has another: it may have been set aside and written since.
-- Returns 1 if it was renamed.
local found = redis.call('TYPE', key).ok
if found == 'none' or found == right_type then
  return 0
end
redis.call('RENAME', key, aside)
redis.call('EXPIRE', aside, seconds)
return 1
