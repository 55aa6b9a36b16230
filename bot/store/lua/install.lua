-- Store an installation, unless it was removed or made again since.
-- KEYS sealed, installed
-- ARGV id, secret, state, at: number
-- `at` is Slack's time of the installation. Returns 1 if it was stored.
local known = redis.call('HGET', installed, id)
if known then
  local state = parse(installed, known)
  if math.max(tonumber(state.removed_at) or 0, tonumber(state.installed_at) or 0) > at then
    return 0
  end
end
redis.call('HSET', sealed, id, secret)
redis.call('HSET', installed, id, state)
return 1
