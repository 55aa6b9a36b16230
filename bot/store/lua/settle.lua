-- End a turn: drop its messages and its journal, keep its record, let the thread rest or go on.
-- KEYS  thread, inbox, turn, ready, interrupts, conversation, record, idle, dead, recent...
-- ARGV  claim, name of the thread, channel:thread_ts, newest item, counts, records, name of the dead
--       letter, dead letter, records kept, bytes of them kept, seconds to keep a tombstone, owed ('': as before)
--       (counts: a JSON object of increments; records: a JSON list; no dead letter: '')
local thread, inbox, turn, ready, interrupts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local conversation, record, idle, dead = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local claim, name, place, last_item_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local most, most_bytes, tombstone = tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11]

local function touch()
  local used_at = string.format('%.6f', now())
  redis.call('HSET', conversation, 'used_at', used_at)
  for field, count in pairs(cjson.decode(ARGV[5])) do
    redis.call('HINCRBY', conversation, field, count)
  end
  if redis.call('HEXISTS', conversation, 'id') == 0 then
    redis.call('EXPIRE', conversation, tombstone)
    return
  end
  if last_item_id ~= '' then
    redis.call('HSET', conversation, 'last_item_id', last_item_id)
  end
  if ARGV[12] ~= '' then
    redis.call('HSET', conversation, 'owed', ARGV[12])
  end
  redis.call('ZADD', idle, used_at, name)
  for i = 10, #KEYS do
    redis.call('ZADD', KEYS[i], used_at, place)
  end
end

local function remember()
  local bytes = 0
  for _, line in ipairs(cjson.decode(ARGV[6])) do
    redis.call('RPUSH', record, line)
    bytes = bytes + #line
  end
  bytes = redis.call('HINCRBY', conversation, 'record_bytes', bytes)
  local length = redis.call('LLEN', record)
  while length > 1 and (length > most or bytes > most_bytes) do
    local gone = redis.call('LPOP', record)
    bytes = redis.call('HINCRBY', conversation, 'record_bytes', -#gone)
    length = length - 1
  end
end

if not holds(thread, claim) then
  return SUPERSEDED
end
local entry = redis.call('HGET', thread, 'entry')
for _, ts in ipairs(taken(turn)) do
  redis.call('HDEL', inbox, ts)
end
drop_turn(turn, interrupts, name)
leave(ready, entry)
if redis.call('HLEN', inbox) == 0 then
  redis.call('DEL', thread)
else
  redis.call('HDEL', thread, 'claim', 'worker', 'attempts', 'crashes', 'reason')
  enter(ready, thread, name)
end
if ARGV[7] ~= '' then
  redis.call('HSET', dead, ARGV[7], ARGV[8])
end
touch()
remember()
return redis.status_reply('OK')
