-- A token bucket as one time stamp (GCRA): when the next grant would be due at the plain rate.
-- KEYS  bucket
-- ARGV  seconds per grant, grants at once, seconds from now in which nothing is granted
--       (more than 0: this call asks for no grant but for a pause), and, where the caller does not
--       wait, how many more grants must be left over
-- Gives the seconds to wait, as a string; -1 where nothing was granted to one who does not wait.
local interval, burst, pause = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local leave = tonumber(ARGV[4])

local time = now()
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), time)
if pause > 0 then
  due = math.max(due, time + pause + interval * (burst - 1))
else
  due = due + interval
end
if leave and due + interval * leave - time - interval * burst > 0 then
  return '-1'
end
insist(KEYS[1])
redis.call('SET', KEYS[1], string.format('%.6f', due),
  'PX', math.ceil((due - time + 1) * 1000))
return string.format('%.6f', math.max(0, due - time - interval * burst))
