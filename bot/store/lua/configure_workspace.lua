-- Add a version of a workspace's settings, unless another was added first.
-- KEYS workspace
-- ARGV after: number, version, kept: number
-- `after` is the number of the version before. Returns 1 if it was added.
local newest = redis.call('LINDEX', workspace, 0)
if (newest and tonumber(parse(workspace, newest).number) or 0) ~= after then
  return 0
end
redis.call('LPUSH', workspace, version)
redis.call('LTRIM', workspace, 0, kept - 1)
return 1
