-- Put in front of every script.
--
-- A thread is busy while its hash exists. It then has exactly one entry in the stream `ready`, or
-- exactly one place in the sorted set `later`. The field `claim` names its holder in the
-- hash: a random word made by one `take`. Every write of a holder compares it first (the fence),
-- so that a worker that was given up for dead can change nothing, also where the server came back
-- with a slightly older state.

local GROUP = 'workers'
local SUPERSEDED = redis.error_reply('SUPERSEDED another claim holds this thread')

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

-- What was accepted is to be finished also where memory is full. A server without memory refuses
-- only the first write of a script, and never one that takes no memory; `key` has no expiry to lose.
local function insist(key)
  redis.call('PERSIST', key)
end

-- A value that its key should not hold. Our side sets the key aside and runs the script again, so
-- scripts read what may be corrupt before they write.
local function corrupt(key)
  error('CORRUPT <' .. key .. '>', 0)
end

-- The number in a stored value; nil where there is none.
local function number(key, value)
  return value and (tonumber(value) or corrupt(key)) or nil
end

-- The JSON object or list in a stored text.
local function parse(key, text)
  local ok, value = pcall(cjson.decode, text)
  return ok and type(value) == 'table' and value or corrupt(key)
end

-- Add to a count in a hash; returns the sum.
local function add(key, field, count)
  local sum = redis.pcall('HINCRBY', key, field, count)
  return type(sum) == 'number' and sum or corrupt(key)
end

-- The same for a thread's own counts, which begin again rather than hold the thread up.
local function count_up(thread, field, count)
  local sum = redis.pcall('HINCRBY', thread, field, count)
  if type(sum) == 'number' then
    return sum
  end
  redis.call('HSET', thread, field, count)
  return tonumber(count)
end

-- Order of Slack's time stamps; equal ones, and what is no number, by their text.
local function earlier(a, b)
  local x, y = tonumber(a) or 0, tonumber(b) or 0
  if x == y then
    return a < b
  end
  return x < y
end

-- Names the process of the server; '' where it may not be asked.
local function server_run_id()
  local info = redis.pcall('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
end

-- Notice that the server holds an older state than the last one a caller saw, or was replaced: it was
-- restarted, restored from a copy, or a replica that lagged took over. What was done after that state
-- is unknown. `seen_beats` is the highest count of heartbeats that the caller knows.
local function notice_discontinuity(pulse, seen_beats)
  local run_id = server_run_id()
  local known = redis.call('HMGET', pulse, 'run_id', 'beats')
  local beats = number(pulse, known[2]) or 0
  local replaced = known[1] and run_id ~= '' and known[1] ~= run_id
  if replaced or beats < seen_beats then
    redis.call('HSET', pulse, 'restored_at', string.format('%.6f', now()),
      'beats', string.format('%d', math.max(beats, seen_beats)))
  end
  if replaced then
    redis.call('HSET', pulse, 'run_id', run_id)
  end
  return redis.call('HGET', pulse, 'restored_at') or '0'
end

local function holds(thread, claim)
  return redis.call('HGET', thread, 'claim') == claim
end

-- Give the thread its one entry in the stream, at the end. `begun`: its turn was taken.
local function enter(ready, thread, name, begun)
  local entry = redis.call('XADD', ready, '*', 'thread', name, 'begun', begun and 1 or 0)
  redis.call('HSET', thread, 'entry', entry)
end

-- Whether a busy thread has its entry in the stream, or its place among those that come later.
local function has_place(ready, later, thread, name)
  local entry = redis.call('HGET', thread, 'entry')
  local found = entry and redis.pcall('XRANGE', ready, entry, entry)
  return found and found[1] ~= nil or redis.call('ZSCORE', later, name) ~= false
end

-- Give a thread back a place that was lost with a corrupt key. Gives whether it was lost.
local function recover(ready, later, thread, name, inbox, turn)
  if redis.call('EXISTS', inbox) == 0 or has_place(ready, later, thread, name) then
    return false
  end
  redis.call('HDEL', thread, 'claim', 'worker')
  enter(ready, thread, name, redis.call('EXISTS', turn) == 1)
  return true
end

-- The one way into an inbox: the message waits, its thread is ready, and `marks` say that it was seen.
local function store_message(inbox, thread, ready, name, ts, message, marks, seen_seconds)
  -- The first write: it fails as a whole where the server has no memory left.
  redis.call('HSET', inbox, ts, message)
  if redis.call('EXISTS', thread) == 0 then
    enter(ready, thread, name)
  end
  for _, mark in ipairs(marks) do
    redis.call('SET', mark, '', 'EX', seen_seconds)
  end
end

local function leave(ready, entry)
  redis.call('XACK', ready, GROUP, entry)
  redis.call('XDEL', ready, entry)
end

local function taken(turn)
  local list = redis.call('HGET', turn, 'taken')
  return list and parse(turn, list) or {}
end

-- What became of a message, how many wait in its thread, whether a turn is under way there.
local function delivery(outcome, inbox, turn)
  return {outcome, redis.call('HLEN', inbox) - #taken(turn), redis.call('EXISTS', turn)}
end

-- A turn and the request to interrupt it end together.
local function drop_turn(turn, interrupts, name)
  redis.call('DEL', turn)
  redis.call('HDEL', interrupts, name)
end

-- The circuit breaker of a dependency: {state, failures} and, while it is open, {since, retry_at,
-- reason}, afterwards {closed_at}. A value that is none counts as a closed circuit.
local function read_circuit(circuits, name)
  local ok, circuit = pcall(cjson.decode, redis.call('HGET', circuits, name) or 'null')
  if not ok or type(circuit) ~= 'table' or type(circuit.failures) ~= 'number' then
    return nil
  end
  local numbers = circuit.state == 'open' and {'since', 'retry_at'} or {'closed_at'}
  for _, field in ipairs(numbers) do
    if type(circuit[field]) ~= 'number' then
      return nil
    end
  end
  return circuit
end

local function write_circuit(circuits, name, circuit)
  redis.call('HSET', circuits, name, cjson.encode(circuit))
end
