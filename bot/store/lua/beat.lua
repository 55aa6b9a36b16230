-- Say that a worker lives, and hear what there is to know.
-- KEYS  workers (alive until), pulse (hash: born, heard, judge_from), later, interrupts, epoch,
--       recover
-- ARGV  worker, seconds to live, most threads to wake, word for a new epoch
-- Gives {was given up for dead, epoch, threads that are due, interrupts as a flat list, places of
-- threads were lost}.
local workers, pulse, later, interrupts, epoch = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local worker, seconds = ARGV[1], tonumber(ARGV[2])

local time = now()
insist(workers)
local late = tonumber(redis.call('ZSCORE', workers, worker) or 0) < time
redis.call('ZADD', workers, string.format('%.6f', time + seconds), worker)
redis.call('ZREMRANGEBYSCORE', workers, '-inf', string.format('%.6f', time - 86400))
local heard = number(pulse, redis.call('HGET', pulse, 'heard')) or 0
if time - heard > seconds / 2 then
  -- After a pause of the server all look dead: first let everyone beat again, then judge.
  redis.call('HSET', pulse, 'judge_from', string.format('%.6f', time + seconds))
end
redis.call('HSETNX', pulse, 'born', string.format('%.6f', time))
redis.call('HSET', pulse, 'heard', string.format('%.6f', time))
redis.call('SET', epoch, ARGV[4], 'NX')
return {late and 1 or 0, redis.call('GET', epoch),
  redis.call('ZRANGEBYSCORE', later, '-inf', string.format('%.6f', time), 'LIMIT', 0, ARGV[3]),
  redis.call('HGETALL', interrupts), redis.call('EXISTS', KEYS[6])}
