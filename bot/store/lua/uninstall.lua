-- Delete an installation's tokens and note when it was removed, unless it was made later.
-- KEYS sealed, installed
-- ARGV id, at: number
-- `at` is Slack's time of the removal. Returns 1 if it was removed now.
local known = redis.call('HGET', installed, id)
local state = known and parse(installed, known) or {name = '', installed_at = 0}
if (tonumber(state.installed_at) or 0) > at then
  return 0
end
local before = tonumber(state.removed_at) or 0
state.removed_at = math.max(before, at)
redis.call('HSET', installed, id, cjson.encode(state))
redis.call('HDEL', sealed, id)
return before == 0 and 1 or 0
