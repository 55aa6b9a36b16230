-- Record a worker's heartbeat and return what is new.
-- KEYS workers, pulse, later, interrupts, epoch, recover, circuits
-- ARGV worker, seconds: number, most, new_epoch, seen_beats: number
-- Returns {lease had expired, epoch, threads that are due, interrupts as a flat list, places of threads
-- were lost, open or lately closed circuits as a list of {name, reason or '', seconds until the next
-- probe}, count of heartbeats, when an older state was noticed last, others are due in two seconds}.

local time = now()
ignore_memory_limit(workers)
local restored_at, run_id = notice_discontinuity(pulse, seen_beats)
local known = redis.call('HMGET', pulse, 'beats', 'heard', 'born', 'run_id')
local beats = (number(pulse, known[1]) or 0) + 1
local stamp = string.format('%.6f', time)
local news = {'beats', string.format('%d', beats), 'heard', stamp}
local function set(field, value)
  news[#news + 1] = field
  news[#news + 1] = value
end
local late = tonumber(redis.call('ZSCORE', workers, worker) or 0) < time
redis.call('ZADD', workers, string.format('%.6f', time + seconds), worker)
redis.call('ZREMRANGEBYSCORE', workers, '-inf', string.format('%.6f', time - 86400))
if time - (number(pulse, known[2]) or 0) > seconds / 2 then
  -- After a pause of the server all leases look expired: wait until every worker could beat again.
  set('judge_from', string.format('%.6f', time + seconds))
end
if not known[3] then
  set('born', stamp)
end
if not known[4] then
  set('run_id', run_id)
end
redis.call('HSET', pulse, unpack(news))
local this_epoch = redis.call('GET', epoch)
if not this_epoch then
  redis.call('SET', epoch, new_epoch)
  this_epoch = new_epoch
end
-- Threads that are due, and whether others will be before the next heartbeat.
local SOON = 2
local due, due_soon = {}, 0
local places = redis.call('ZRANGEBYSCORE', later, '-inf', string.format('%.6f', time + SOON), 'WITHSCORES',
  'LIMIT', 0, most)
for i = 1, #places, 2 do
  if tonumber(places[i + 1]) <= time then
    due[#due + 1] = places[i]
  else
    due_soon = 1
  end
end
local states = {}
for _, name in ipairs(redis.call('HKEYS', circuits)) do
  local circuit = read_circuit(circuits, name)
  if circuit and circuit.state == 'open' then
    states[#states + 1] = {name, circuit.reason, tostring(circuit.retry_at - time)}
  else
    states[#states + 1] = {name, '', '0'}
  end
end
return {late and 1 or 0, this_epoch, due, redis.call('HGETALL', interrupts),
  redis.call('EXISTS', recover), states, beats, restored_at, due_soon}
