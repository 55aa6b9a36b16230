-- Put in front of every script.
--
-- A thread is busy while its hash exists. It then has exactly one entry in the stream `ready`, or
-- exactly one place in the sorted set `later`. Who holds it is told by the field `claim` of the
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

-- Order of Slack's time stamps; equal ones, and what is no number, by their text.
local function earlier(a, b)
  local x, y = tonumber(a) or 0, tonumber(b) or 0
  if x == y then
    return a < b
  end
  return x < y
end

local function holds(thread, claim)
  return redis.call('HGET', thread, 'claim') == claim
end

-- Give the thread its one entry in the stream, at the end. `begun`: its turn was taken.
local function enter(ready, thread, name, begun)
  local entry = redis.call('XADD', ready, '*', 'thread', name, 'begun', begun and 1 or 0)
  redis.call('HSET', thread, 'entry', entry)
end

local function leave(ready, entry)
  redis.call('XACK', ready, GROUP, entry)
  redis.call('XDEL', ready, entry)
end

local function taken(turn)
  local list = redis.call('HGET', turn, 'taken')
  return list and cjson.decode(list) or {}
end

-- A turn and the wish to interrupt it end together.
local function drop_turn(turn, interrupts, name)
  redis.call('DEL', turn)
  redis.call('HDEL', interrupts, name)
end
