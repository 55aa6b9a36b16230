-- A token bucket as one timestamp (GCRA): when the next grant would be due at the plain rate.
-- KEYS bucket, places
-- ARGV interval: number, burst: number, pause: number, who, reserve: number
-- `interval` is in seconds per grant, `burst` the grants at once. With `pause` (seconds from now in which
-- nothing is granted) this call asks for no grant. With `reserve` the caller does not wait: so many more
-- grants must be left over ('': it waits). `places` holds who waits, by when each grant is due.
-- Returns the seconds to wait, as a string; -1 if nothing was granted to a caller that does not wait.

-- A waiter that asks again keeps its place, even if its grant came due while it was gone: another
-- worker may resume its turn.
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
if reserve and due + interval * reserve - time - interval * burst > 0 then
  return '-1'
end
local wait = math.max(0, due - time - interval * burst)
local ms = math.ceil((due - time + 1) * 1000)
write('SET', bucket, string.format('%.6f', due), 'PX', ms)
if wait > 0 and who ~= '' then
  redis.call('ZREMRANGEBYSCORE', places, '-inf', string.format('%.6f', time - GRACE))
  redis.call('ZADD', places, string.format('%.6f', time + wait), who)
  redis.call('PEXPIRE', places, ms + GRACE * 1000)
end
return string.format('%.6f', wait)
