-- Store what was derived from a lent secret, which is used up by that.
-- KEYS lent, sealed
-- ARGV row, secret
-- Returns 1 if it was stored, 0 if the lent secret has expired or was taken.
if redis.call('DEL', lent) == 0 then
  return 0
end
redis.call('HSET', sealed, row, secret)
return 1
