-- List threads that no live worker holds: they wait for a worker, for the lease of a dead one to
-- expire, or for the next attempt.
-- KEYS ready, later, workers
-- ARGV seconds: number, most: number
-- `most` of each kind.
-- Returns pairs: why the thread waits (queued, orphaned, retrying, no_worker), and its name.

local time, found = now(), {}
local no_worker = redis.call('ZCOUNT', workers, time, '+inf') == 0
local function add(why, name)
  found[#found + 1] = no_worker and 'no_worker' or why
  found[#found + 1] = name
end
local function add_old(why, entry)
  if entry and tonumber(string.match(entry[1], '^%d+')) / 1000 < time - seconds then
    add(why, entry[2][2])
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
      add_old('orphaned', redis.call('XRANGE', ready, row[1], row[1])[1])
    end
  end
end
for _, entry in ipairs(redis.call('XRANGE', ready, '(' .. delivered, '+', 'COUNT', most)) do
  add_old('queued', entry)
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', later, time + seconds, '+inf', 'LIMIT', 0, most)) do
  add('retrying', name)
end
return found
