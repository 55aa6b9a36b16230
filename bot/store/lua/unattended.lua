-- List threads that no worker is busy with: they wait for a worker, for a dead one to be noticed, or
-- for the next attempt.
-- KEYS ready, later, workers
-- ARGV seconds: number, most: number
-- `most` of each kind.
-- Returns the names of threads.

local time, names = now(), {}
local function add(entry)
  if entry and tonumber(string.match(entry[1], '^%d+')) / 1000 < time - seconds then
    names[#names + 1] = entry[2][2]
  end
end

local delivered = '0-0'
local groups = redis.pcall('XINFO', 'GROUPS', ready)
if not groups.err and groups[1] then
  for i = 1, #groups[1], 2 do
    if groups[1][i] == 'last-delivered-id' then
      delivered = groups[1][i + 1]
    end
  end
  for _, row in ipairs(redis.call('XPENDING', ready, GROUP, '-', '+', most)) do
    if tonumber(redis.call('ZSCORE', workers, row[2]) or 0) < time then
      add(redis.call('XRANGE', ready, row[1], row[1])[1])
    end
  end
end
for _, entry in ipairs(redis.call('XRANGE', ready, '(' .. delivered, '+', 'COUNT', most)) do
  add(entry)
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', later, time + seconds, '+inf', 'LIMIT', 0, most)) do
  names[#names + 1] = name
end
return names
