-- Take a person's name off the counts of one day in one channel.
-- KEYS  days and channels of the person, rows of the day, top people of the month, sums by day and by
--       month under the name in the place
-- ARGV  member of the first, channel, person, the name to put in the place, seconds to keep sums,
--       kinds...
local channel, person, nobody = ARGV[2], ARGV[3], ARGV[4]
for i = 6, #ARGV do
  local field = channel .. ':' .. person .. ':' .. ARGV[i]
  local count = redis.call('HGET', KEYS[2], field)
  if count then
    add(KEYS[2], channel .. ':' .. nobody .. ':' .. ARGV[i], number(KEYS[2], count))
    redis.call('HDEL', KEYS[2], field)
    for sum = 4, 5 do
      add(KEYS[sum], ARGV[i], count)
      redis.call('EXPIRE', KEYS[sum], ARGV[5])
    end
  end
end
local tokens = redis.call('ZSCORE', KEYS[3], person)
if tokens then
  redis.call('ZINCRBY', KEYS[3], tokens, nobody)
  redis.call('ZREM', KEYS[3], person)
end
redis.call('SREM', KEYS[1], ARGV[1])
return redis.status_reply('OK')
