-- Say that a worker lives, and hear what there is to know.
-- KEYS  workers (alive until), steady (may judge others from), later, interrupts, epoch
-- ARGV  worker, seconds to live, most threads to wake, word for a new epoch
-- Gives {was given up for dead, epoch, threads that are due, interrupts as a flat list}.
local workers, steady, later, interrupts, epoch = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local worker, seconds = ARGV[1], tonumber(ARGV[2])

local time = now()
insist(workers)
local late = tonumber(redis.call('ZSCORE', workers, worker) or 0) < time
redis.call('ZADD', workers, string.format('%.6f', time + seconds), worker)
if late then
  -- After a pause of the server all look dead: first let everyone beat again, then judge.
  redis.call('ZADD', steady, string.format('%.6f', time + seconds), worker)
end
redis.call('SET', epoch, ARGV[4], 'NX')
return {late and 1 or 0, redis.call('GET', epoch),
  redis.call('ZRANGEBYSCORE', later, '-inf', string.format('%.6f', time), 'LIMIT', 0, ARGV[3]),
  redis.call('HGETALL', interrupts)}
