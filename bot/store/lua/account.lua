-- Count what a turn spent, once: the mark is a step of its journal.
-- KEYS  thread, turn, rows of the day, days and channels of the person, top channels, top people,
--       workspaces, sums...
-- ARGV  claim, day, channel, person, seconds to keep rows, seconds to keep sums, tokens,
--       workspace, kinds and their counts...
-- Gives 0 where the turn was counted before.
if not holds(KEYS[1], ARGV[1]) then
  return SUPERSEDED
end
insist(KEYS[2])
if redis.call('HSETNX', KEYS[2], '=accounted', 'true') == 0 then
  return 0
end
local day, channel, person, tokens = ARGV[2], ARGV[3], ARGV[4], ARGV[7]
local row = channel .. ':' .. person .. ':'
for i = 9, #ARGV, 2 do
  if ARGV[i + 1] ~= '0' then
    add(KEYS[3], row .. ARGV[i], ARGV[i + 1])
    for sum = 8, #KEYS do
      add(KEYS[sum], ARGV[i], ARGV[i + 1])
    end
  end
end
redis.call('SADD', KEYS[7], ARGV[8])
redis.call('SADD', KEYS[4], day .. ':' .. channel)
redis.call('ZINCRBY', KEYS[5], tokens, channel)
redis.call('ZINCRBY', KEYS[6], tokens, person)
for i = 3, 6 do
  redis.call('EXPIRE', KEYS[i], ARGV[5])
end
for sum = 8, #KEYS do
  redis.call('EXPIRE', KEYS[sum], ARGV[6])
end
return 1
