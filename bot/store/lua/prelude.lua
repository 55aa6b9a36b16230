-- Prepended to every script.
--
-- A thread is busy while its hash exists. It then has exactly one entry in the stream `ready`, or
-- exactly one place in the sorted set `later`. The field `claim` in the hash is the fencing token:
-- a random value made by one `take`. Every write of a holder compares it first, so that a worker
-- whose lease expired can change nothing, even if the server came back with a slightly older state.

local GROUP = 'workers'
-- What one turn answers at most.
local MAX_MESSAGES, MAX_BYTES = 50, 200000
-- Seconds by which Slack's clock and ours may differ; `claims.py` knows it, too.
local CLOCK_SKEW = 2
local SUPERSEDED = redis.error_reply('SUPERSEDED another claim holds this thread')

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

-- Accepted work must be finished even when memory is full. A server without memory refuses only the
-- first write of a script, and never one that needs no memory. An expiry of `key` is removed.
local function ignore_memory_limit(key)
  redis.call('PERSIST', key)
end

-- Keep a conversation that a tombstone let expire, and its record. First, as in `ignore_memory_limit`.
local function revive(conversation, record)
  if redis.call('PERSIST', conversation) == 1 then
    redis.call('PERSIST', record)
  end
end

-- Make the first write of a script, even if memory is full. Mostly it is not, and this is one command.
local function write(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then
    ignore_memory_limit((select(2, ...)))
    return redis.call(...)
  end
  return reply
end

-- Report a corrupt value. The client sets the key aside and runs the script again, so scripts read
-- whatever may be corrupt before they write.
local function corrupt(key)
  error('CORRUPT <' .. key .. '>', 0)
end

-- The number in a stored value; nil if it is not one.
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

-- The same for a thread's own counts: a corrupt one restarts at 0 instead of blocking the thread.
local function count_up(thread, field, count)
  local sum = redis.pcall('HINCRBY', thread, field, count)
  if type(sum) == 'number' then
    return sum
  end
  redis.call('HSET', thread, field, count)
  return tonumber(count)
end

-- Counts to add, by key. All are read, and found sound, before the first is written: a script that stops at
-- a corrupt value has counted nothing when it is repeated. Several keys may share a table of `counts` by
-- field. A key that is new expires in `seconds`, if given.
local function collect(sums, key, counts, seconds)
  local sum = sums[key]
  if not sum then
    sums[#sums + 1], sums[key] = key, {seconds = seconds, counts = counts}
    return
  end
  local both = {}
  for field, count in pairs(sum.counts) do
    both[field] = count
  end
  for field, count in pairs(counts) do
    both[field] = (both[field] or 0) + count
  end
  sum.counts = both
end

-- Each sum gets its `totals` by field, as texts; whether it is `new`; and the field `id` of its hash.
local function read_sums(sums)
  local lists = {}
  for _, key in ipairs(sums) do
    local sum = sums[key]
    local counts, totals, fields = sum.counts, {}, lists[sum.counts]
    if not fields then
      fields = {'id'}
      for field in pairs(counts) do
        fields[#fields + 1] = field
      end
      lists[counts] = fields
    end
    local values = redis.call('HMGET', key, unpack(fields))
    sum.id, sum.new, sum.totals = values[1], true, totals
    for i = 2, #fields do
      local field, value = fields[i], values[i]
      local total = counts[field]
      if value then
        if not string.find(value, '^-?%d+$') then
          corrupt(key)
        end
        total, sum.new = total + tonumber(value), false
      end
      totals[field] = string.format('%.0f', total)
    end
  end
end

-- A table as a flat list of fields and values.
local function flat(fields)
  local list, size = {}, 0
  for field, value in pairs(fields) do
    list[size + 1], list[size + 2] = field, value
    size = size + 2
  end
  return list
end

local function write_sums(sums)
  for _, key in ipairs(sums) do
    local sum = sums[key]
    redis.call('HSET', key, unpack(flat(sum.totals)))
    if sum.new and sum.seconds then
      redis.call('EXPIRE', key, sum.seconds)
    end
  end
end

-- What people are charged. Each charge is {day, channel, person, team, tokens, kinds: {kind: count}, keys:
-- those of the rows, of the person's days, of two rankings, of the teams, and of the sums}.
local CHARGE_KEYS = 11
local function collect_charges(sums, charges, row_seconds, sum_seconds)
  for _, charge in ipairs(charges) do
    local sum, row, keys = {}, {}, charge.keys
    for kind, count in pairs(charge.kinds) do
      if count ~= 0 then
        sum[kind] = count
        row[charge.channel .. ':' .. charge.person .. ':' .. kind] = count
      end
    end
    if next(sum) then
      collect(sums, keys[1], row, row_seconds)
      for i = 6, CHARGE_KEYS do
        collect(sums, keys[i], sum, sum_seconds)
      end
    end
  end
end

-- Add tokens to a ranking; false if it is corrupt.
local function rank(key, member, tokens, seconds)
  local score = redis.pcall('ZINCRBY', key, string.format('%.0f', tokens), member)
  if type(score) ~= 'string' then
    return false
  elseif tonumber(score) == tokens then
    redis.call('EXPIRE', key, seconds)
  end
  return true
end

-- The lists and rankings of charges. Like `read_sums` this leaves no count behind where it stops. A list
-- has what is charged since the first charge of its day.
local function list_charges(sums, charges, row_seconds)
  for _, charge in ipairs(charges) do
    local rows = sums[charge.keys[1]]
    if #charges > 1 or (rows and rows.new) then
      redis.call('SADD', charge.keys[5], charge.team)
      if redis.call('SADD', charge.keys[2], charge.day .. ':' .. charge.channel) == 1 then
        redis.call('EXPIRE', charge.keys[2], row_seconds)
      end
    end
  end
  for _, charge in ipairs(charges) do
    local channels, people, tokens = charge.keys[3], charge.keys[4], charge.tokens
    if not rank(channels, charge.channel, tokens, row_seconds) then
      corrupt(channels)
    elseif not rank(people, charge.person, tokens, row_seconds) then
      rank(channels, charge.channel, -tokens, row_seconds)
      corrupt(people)
    end
  end
end

-- Order of Slack's timestamps; equal ones, and values that are not numbers, compare as text.
local function earlier(a, b)
  local x, y = tonumber(a) or 0, tonumber(b) or 0
  if x == y then
    return a < b
  end
  return x < y
end

-- The run id of the server process; '' if INFO is forbidden.
local function server_run_id()
  local info = redis.pcall('INFO', 'server')
  local _, at = string.find(type(info) == 'string' and info or '', 'run_id:', 1, true)
  return at and string.match(info, '^%w+', at + 1) or ''
end

-- Detect that the server holds an older state than a caller has seen, or was replaced: it was
-- restarted, restored from a backup, or a lagging replica took over. Work done after that state is
-- unknown. `seen_beats` is the highest count of heartbeats that the caller knows.
local function notice_discontinuity(pulse, seen_beats)
  local run_id = server_run_id()
  local known = redis.call('HMGET', pulse, 'run_id', 'beats', 'restored_at')
  local beats = number(pulse, known[2]) or 0
  local replaced = known[1] and run_id ~= '' and known[1] ~= run_id
  local restored_at = known[3] or '0'
  if replaced or beats < seen_beats then
    restored_at = string.format('%.6f', now())
    redis.call('HSET', pulse, 'restored_at', restored_at,
      'beats', string.format('%d', math.max(beats, seen_beats)))
  end
  if replaced then
    redis.call('HSET', pulse, 'run_id', run_id)
  end
  return restored_at, run_id
end

local function holds(thread, claim)
  return redis.call('HGET', thread, 'claim') == claim
end

-- Give the thread its one entry in the stream, at the end. `begun`: its turn was taken; `root`: it is
-- ready because of its first message.
local function enter(ready, thread, name, begun, root)
  local entry = redis.call('XADD', ready, '*', 'thread', name, 'begun', begun and 1 or 0,
    'root', root and 1 or 0)
  redis.call('HSET', thread, 'entry', entry)
end

-- Whether a busy thread has its entry in the stream, or its place among those that come later.
local function has_place(ready, later, thread, name)
  local entry = redis.call('HGET', thread, 'entry')
  local found = entry and redis.pcall('XRANGE', ready, entry, entry)
  return found and found[1] ~= nil or redis.call('ZSCORE', later, name) ~= false
end

-- Restore a thread's place that was lost with a corrupt key. Returns whether it was lost.
local function recover(ready, later, thread, name, inbox, turn)
  if redis.call('EXISTS', inbox) == 0 or has_place(ready, later, thread, name) then
    return false
  end
  redis.call('HDEL', thread, 'claim', 'worker')
  enter(ready, thread, name, redis.call('EXISTS', turn) == 1)
  return true
end

-- Make a suspended turn ready: there is something new to it. One that a worker holds finds it later.
local function resume(ready, later, thread, name)
  if redis.call('ZREM', later, name) == 1 then
    enter(ready, thread, name, true)
  end
end

-- Withdraw what people are asked to approve, because the question has changed since.
local function withdraw_approvals(thread, turn, ready, later, name, reason)
  redis.call('HSETNX', turn, '=withdrawn', cjson.encode(reason))
  resume(ready, later, thread, name)
end

-- The kind of a message; nil for what is none.
local function kind_of(message)
  local ok, value = pcall(cjson.decode, message)
  if ok and type(value) == 'table' and type(value.ts) == 'string' and type(value.text) == 'string' then
    return value.kind or 'message'
  end
end

-- A hash as a table.
local function fields_of(key)
  local flat, found = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do
    found[flat[i]] = flat[i + 1]
  end
  return found
end

local function leave(ready, entry)
  redis.call('XACK', ready, GROUP, entry)
  redis.call('XDEL', ready, entry)
end

local function taken(turn)
  local list = redis.call('HGET', turn, 'taken')
  return list and parse(turn, list) or {}
end

-- When Redis came back with an older state, 0 if it did not.
local function time_of_restore(pulse)
  return tonumber(redis.call('HGET', pulse, 'restored_at')) or 0
end

-- Messages older than this may have been answered after the state that Redis came back with.
local function maybe_answered_until(pulse)
  local restored_at = time_of_restore(pulse)
  return restored_at > 0 and restored_at + CLOCK_SKEW or 0
end

-- Whether a message belongs to the turn that has taken `stamps`: it is older than one of them, or it brings
-- the files of one. One that may be answered already is left to the next turn, which looks for its answer.
local function joins(stamps, name, ts, message, answered_until)
  if (tonumber(ts) or 0) < answered_until then
    return false
  end
  if #stamps > 0 and earlier(ts, stamps[#stamps]) then
    return true
  end
  for _, stamp in ipairs(stamps) do
    if string.find(message, '"event_id":"files:' .. name .. ':' .. stamp .. '"', 1, true) then
      return true
    end
  end
  return false
end

-- The one way into an inbox: the message waits, its thread is ready, and `marks` say that it was seen, with
-- a `value`. `place` holds the keys of the thread and of the pulse, its name and whether it is busy, `user`
-- is the author. If the message belongs to the turn under way, its worker is notified.
local function store_message(place, user, ts, message, marks, seen_seconds, value)
  -- The first write: the whole script fails here if the server has no memory left.
  redis.call('HSET', place.inbox, ts, message)
  local thread, name = place.thread, place.name
  if not place.busy then
    enter(place.ready, thread, name, false, string.sub(name, -#ts - 1) == ':' .. ts)
    place.busy = true
  else
    local stamps = taken(place.turn)
    if kind_of(message) == 'message' and #stamps > 0
      and joins(stamps, name, ts, message, maybe_answered_until(place.pulse)) then
      if redis.call('HSETNX', place.interrupts, name, 'late') == 0 then
        redis.call('HSET', place.turn, 'late', '')  -- in case that the stop is refused
      end
    end
    if redis.call('HGET', thread, 'requester') == user then
      local reason = kind_of(message) == 'retract' and 'deletion' or 'message'
      withdraw_approvals(thread, place.turn, place.ready, place.later, name, reason)
    end
  end
  for _, mark in ipairs(marks) do
    redis.call('SET', mark, value or '', 'EX', seen_seconds)
  end
end

-- The result of a delivery: its verdict, how many wait in the thread, whether a turn is under way (2: it is
-- suspended).
local function delivery(outcome, inbox, turn, thread)
  local list, active = redis.call('HGET', turn, 'taken'), 0
  if list then
    local facts = redis.call('HMGET', thread, 'requester', 'entry')
    active = facts[1] and not facts[2] and 2 or 1
  end
  return {outcome, redis.call('HLEN', inbox) - (list and #parse(turn, list) or 0), active}
end

-- The fields of a journal that record steps, given as a flat list of names and values.
local function steps_of(fields)
  local found = {}
  for i = 1, #fields, 2 do
    found[i], found[i + 1] = '=' .. fields[i], fields[i + 1]
  end
  return found
end

-- A turn and the request to interrupt it end together.
local function drop_turn(turn, interrupts, name)
  redis.call('DEL', turn)
  redis.call('HDEL', interrupts, name)
end

-- The circuit breaker of a dependency: {state, failures} and, while it is open, {since, retry_at,
-- reason}, afterwards {closed_at}. A corrupt value counts as a closed circuit.
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
