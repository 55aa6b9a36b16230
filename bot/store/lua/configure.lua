-- Add a version of a channel's settings, unless another was added first.
-- KEYS settings, channels, channel
-- ARGV after: number, version, channel_id, kept: number, follow_ups
-- `after` is the number of the version before; `follow_ups` is '' if it is unset.
-- Returns 1 if it was added.
local newest = redis.call('LINDEX', settings, 0)
local before = newest and tonumber(parse(settings, newest).number) or 0
if before ~= after then
  return 0
end
redis.call('LPUSH', settings, version)
redis.call('LTRIM', settings, 0, kept - 1)
redis.call('SADD', channels, channel_id)
if follow_ups == '' then
  redis.call('HDEL', channel, 'follow_ups')
else
  redis.call('HSET', channel, 'follow_ups', follow_ups)
end
return 1
