-- Take, extend or (0 milliseconds) release a lease.
-- KEYS lease
-- ARGV owner, ms
-- Returns 0 while another owner has it.
local holder = redis.call('GET', lease)
-- A lease without an expiry was not written by us.
if holder and holder ~= owner and redis.call('PTTL', lease) > 0 then
  return 0
end
if ms == '0' then
  redis.call('DEL', lease)
else
  redis.call('SET', lease, owner, 'PX', ms)
end
return 1
