-- Put a version of a channel's settings in front, unless another came first.
-- KEYS  versions of the channel, configured channels, what listeners ask of the channel
-- ARGV  number of the version it follows, version, channel, versions kept, follow_ups ('': unset)
local newest = redis.call('LINDEX', KEYS[1], 0)
local number = newest and tonumber(parse(KEYS[1], newest).number) or 0
if number ~= tonumber(ARGV[1]) then
  return 0
end
redis.call('LPUSH', KEYS[1], ARGV[2])
redis.call('LTRIM', KEYS[1], 0, tonumber(ARGV[4]) - 1)
redis.call('SADD', KEYS[2], ARGV[3])
if ARGV[5] == '' then
  redis.call('HDEL', KEYS[3], 'follow_ups')
else
  redis.call('HSET', KEYS[3], 'follow_ups', ARGV[5])
end
return 1
