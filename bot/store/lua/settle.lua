-- End a turn: remove its messages and its journal, save its record, and make the thread idle or
-- ready.
-- KEYS thread, inbox, turn, ready, interrupts, conversation, record, idle, dead, runs, recent...
-- ARGV claim, name, place, last_item_id, counts, records, letter_id, letter, most: number,
--   most_bytes: number, tombstone_seconds, owed, most_dead: number, run_ids, most_runs: number,
--   kept...
-- `counts` is a JSON object of increments, `records` a JSON list, `letter_id` '' where there is no dead
-- letter, `owed` '' where it stays as it is; `kept` are the ts of messages that are not done.
-- `run_ids` is a JSON list of the turn's runs.
-- Returns how many old dead letters were dropped.

local function note_runs()
  for _, id in ipairs(cjson.decode(run_ids)) do
    redis.call('RPUSH', runs, id)
  end
  redis.call('LTRIM', runs, -most_runs, -1)
  redis.call('EXPIRE', runs, tombstone_seconds)
end

local function touch()
  local used_at = string.format('%.6f', now())
  redis.call('HSET', conversation, 'used_at', used_at)
  for field, count in pairs(cjson.decode(counts)) do
    add(conversation, field, count)
  end
  if redis.call('HEXISTS', conversation, 'id') == 0 then
    redis.call('EXPIRE', conversation, tombstone_seconds)
    return
  end
  if last_item_id ~= '' then
    redis.call('HSET', conversation, 'last_item_id', last_item_id)
  end
  if owed ~= '' then
    redis.call('HSET', conversation, 'owed', owed)
  end
  redis.call('ZADD', idle, used_at, name)
  for _, key in ipairs(recent) do
    redis.call('ZADD', key, used_at, place)
  end
end

local function remember()
  local bytes = 0
  for _, line in ipairs(cjson.decode(records)) do
    redis.call('RPUSH', record, line)
    bytes = bytes + #line
  end
  bytes = add(conversation, 'record_bytes', bytes)
  local length = redis.call('LLEN', record)
  while length > 1 and (length > most or bytes > most_bytes) do
    local gone = redis.call('LPOP', record)
    bytes = add(conversation, 'record_bytes', -#gone)
    length = length - 1
  end
end

-- Drop a tenth at once, so that a flood does not sort all of them each time.
local function drop_oldest(limit)
  if redis.call('HLEN', dead) <= limit then
    return 0
  end
  local ids, at = {}, {}
  local all = redis.call('HGETALL', dead)
  for i = 1, #all, 2 do
    local ok, letter = pcall(cjson.decode, all[i + 1])
    ids[#ids + 1] = all[i]
    at[all[i]] = ok and type(letter) == 'table' and tonumber(letter.at) or 0
  end
  table.sort(ids, function(a, b) return at[a] < at[b] end)
  local gone = #ids - math.floor(limit * 0.9)
  for i = 1, gone do
    redis.call('HDEL', dead, ids[i])
  end
  return gone
end

if not holds(thread, claim) then
  return SUPERSEDED
end
local entry = redis.call('HGET', thread, 'entry')
insist(thread)
note_runs()
touch()
remember()
local is_kept = {}
for _, ts in ipairs(kept) do
  is_kept[ts] = true
end
for _, ts in ipairs(taken(turn)) do
  if not is_kept[ts] then
    redis.call('HDEL', inbox, ts)
  end
end
drop_turn(turn, interrupts, name)
leave(ready, entry)
if redis.call('HLEN', inbox) == 0 then
  redis.call('DEL', thread)
else
  redis.call('HDEL', thread, 'claim', 'worker', 'attempts', 'crashes', 'reason', 'retried',
    'requester')
  enter(ready, thread, name)
end
if letter_id ~= '' then
  redis.call('HSET', dead, letter_id, letter)
  return drop_oldest(most_dead)
end
return 0
