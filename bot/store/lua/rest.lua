-- Set a pause for callers that already wait; a shorter one does not end a longer one.
-- KEYS rest
-- ARGV seconds: number
local ms = math.ceil(seconds * 1000)
if redis.call('PTTL', rest) < ms then
  write('SET', rest, '', 'PX', ms)
end
return redis.status_reply('OK')
