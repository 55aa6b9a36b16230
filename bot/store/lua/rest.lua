-- Remember a pause for those who wait already; a shorter one does not end a longer one.
-- KEYS  rest
-- ARGV  seconds
local ms = math.ceil(tonumber(ARGV[1]) * 1000)
if redis.call('PTTL', KEYS[1]) < ms then
  insist(KEYS[1])
  redis.call('SET', KEYS[1], '', 'PX', ms)
end
return redis.status_reply('OK')
