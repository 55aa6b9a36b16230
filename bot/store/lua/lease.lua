-- Take, prolong or (0 milliseconds) give back a lease.
-- KEYS  lease
-- ARGV  owner, milliseconds
local holder = redis.call('GET', KEYS[1])
-- A lease without an end is none of ours.
if holder and holder ~= ARGV[1] and redis.call('PTTL', KEYS[1]) > 0 then
  return 0
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1
