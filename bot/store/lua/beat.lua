-- Record a worker's heartbeat and return the news.
-- KEYS workers, pulse, later, interrupts, epoch, recover, circuits
-- ARGV worker, seconds: number, most, new_epoch, seen_beats: number
-- Returns {lease had expired, epoch, threads that are due, interrupts as a flat list, places of threads
-- were lost, open or lately closed circuits as a list of {name, reason or '', seconds until the next
-- probe}, count of heartbeats, when an older state was noticed last}.

local time = now()
insist(workers)
local restored_at = notice_discontinuity(pulse, seen_beats)
redis.call('HSETNX', pulse, 'run_id', server_run_id())
local beats = redis.call('HINCRBY', pulse, 'beats', 1)
local late = tonumber(redis.call('ZSCORE', workers, worker) or 0) < time
redis.call('ZADD', workers, string.format('%.6f', time + seconds), worker)
redis.call('ZREMRANGEBYSCORE', workers, '-inf', string.format('%.6f', time - 86400))
local heard = number(pulse, redis.call('HGET', pulse, 'heard')) or 0
if time - heard > seconds / 2 then
  -- After a pause of the server all leases look expired: wait until every worker could beat again.
  redis.call('HSET', pulse, 'judge_from', string.format('%.6f', time + seconds))
end
redis.call('HSETNX', pulse, 'born', string.format('%.6f', time))
redis.call('HSET', pulse, 'heard', string.format('%.6f', time))
redis.call('SET', epoch, new_epoch, 'NX')
local states = {}
for _, name in ipairs(redis.call('HKEYS', circuits)) do
  local circuit = read_circuit(circuits, name)
  if circuit and circuit.state == 'open' then
    states[#states + 1] = {name, circuit.reason, tostring(circuit.retry_at - time)}
  else
    states[#states + 1] = {name, '', '0'}
  end
end
return {late and 1 or 0, redis.call('GET', epoch),
  redis.call('ZRANGEBYSCORE', later, '-inf', string.format('%.6f', time), 'LIMIT', 0, most),
  redis.call('HGETALL', interrupts), redis.call('EXISTS', recover), states, beats,
  restored_at}
