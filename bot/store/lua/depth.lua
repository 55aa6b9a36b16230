-- Count the backlog.
-- KEYS ready, later, dead, workers
-- Returns {waiting, claimed, later, dead letters, living workers, age of the oldest waiting entry in ms}.

local claimed, delivered = 0, '0-0'
local groups = redis.pcall('XINFO', 'GROUPS', ready)
if not groups.err then
  for _, group in ipairs(groups) do
    for i = 1, #group, 2 do
      if group[i] == 'pending' then
        claimed = group[i + 1]
      elseif group[i] == 'last-delivered-id' then
        delivered = group[i + 1]
      end
    end
  end
end
local time, age = now(), 0
local oldest = redis.call('XRANGE', ready, '(' .. delivered, '+', 'COUNT', 1)[1]
if oldest then
  age = math.max(0, time * 1000 - tonumber(string.match(oldest[1], '^%d+')))
end
return {redis.call('XLEN', ready) - claimed, claimed, redis.call('ZCARD', later),
  redis.call('HLEN', dead), redis.call('ZCOUNT', workers, time, '+inf'), math.floor(age)}
