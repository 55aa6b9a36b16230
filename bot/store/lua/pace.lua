-- A token bucket as one time stamp (GCRA): when the next grant would be due at the plain rate.
-- KEYS  bucket, places (who waits, by when each one's grant is due)
-- ARGV  seconds per grant, grants at once, seconds from now in which nothing is granted
--       (more than 0: this call asks for no grant but for a pause), who asks, and, where the caller
--       does not wait, how many more grants must be left over
-- Gives the seconds to wait, as a string; -1 where nothing was granted to one who does not wait.
local bucket, places = KEYS[1], KEYS[2]
local interval, burst, pause = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local who, leave = ARGV[4], tonumber(ARGV[5])

-- Who waits already and asks again, as a turn does that another worker goes on with, keeps its place,
-- also where it came up while nobody was there.
local GRACE = 15
local time = now()
local place = tonumber(redis.call('ZSCORE', places, who))
if place and place > time then
  return string.format('%.6f', place - time)
elseif place and place > time - GRACE then
  redis.call('ZREM', places, who)
  return '0'
end
local due = math.max(number(bucket, redis.call('GET', bucket)) or 0, time)
if pause > 0 then
  due = math.max(due, time + pause + interval * (burst - 1))
else
  due = due + interval
end
if leave and due + interval * leave - time - interval * burst > 0 then
  return '-1'
end
local wait = math.max(0, due - time - interval * burst)
local ms = math.ceil((due - time + 1) * 1000)
insist(bucket)
redis.call('SET', bucket, string.format('%.6f', due), 'PX', ms)
if wait > 0 and who ~= '' then
  redis.call('ZREMRANGEBYSCORE', places, '-inf', string.format('%.6f', time - GRACE))
  redis.call('ZADD', places, string.format('%.6f', time + wait), who)
  redis.call('PEXPIRE', places, ms + GRACE * 1000)
end
return string.format('%.6f', wait)
