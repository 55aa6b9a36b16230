-- Replace a sealed secret, unless another process changed or removed it.
-- KEYS sealed
-- ARGV name, before, after
-- Returns 1 if it was replaced.
if redis.call('HGET', sealed, name) ~= before then
  return 0
end
redis.call('HSET', sealed, name, after)
return 1
