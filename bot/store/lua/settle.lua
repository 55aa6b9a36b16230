-- End a turn: charge its usage, save its record, remove its messages and its journal, and make the thread
-- idle or ready.
-- KEYS thread, inbox, turn, ready, interrupts, conversation, record, idle, dead, runs, latest, others...
-- ARGV claim, name, place, last_item_id, counts, records, letter_id, letter, most: number,
--   most_bytes: number, tombstone_seconds, owed, most_dead: number, run_ids, most_runs: number,
--   people: number, charges, row_seconds, sum_seconds, answer, latest_seconds, done...
-- `others` are the lists of the `people` (their number), then the keys of each charge (`collect_charges`).
-- `counts` is a JSON object of increments, `records` and `charges` are JSON lists, `letter_id` is '' where
-- there is no dead letter, `owed` '' if it stays as it is; `done` are the ts of messages.
-- `run_ids` is a JSON list of the turn's runs. `answer` ('': none) is the thread's last one from now on.
-- Returns how many old dead letters were dropped, and the last answer before or nil.


local function note_runs()
  local ids = cjson.decode(run_ids)
  if #ids > 0 then
    if redis.call('RPUSH', runs, unpack(ids)) > most_runs then
      redis.call('LTRIM', runs, -most_runs, -1)
    end
    redis.call('EXPIRE', runs, tombstone_seconds)
  end
end

-- Without a remote conversation the hash is a tombstone.
local function touch(sum)
  local used_at, totals = string.format('%.6f', now()), sum.totals
  totals.used_at = used_at
  if sum.id then
    if last_item_id ~= '' then
      totals.last_item_id = last_item_id
    end
    if owed ~= '' then
      totals.owed = owed
    end
    redis.call('ZADD', idle, used_at, name)
    for i = 1, people do
      redis.call('ZADD', others[i], used_at, place)
    end
  end
end

-- `unpack` can return this many values at once, and some thousands more.
local MOST_UNPACKED = 1000

-- Add to our record, and drop its oldest lines once it is too long.
local function remember(lines, sum)
  local length, bytes = 0, tonumber(sum.totals.record_bytes)
  for i = 1, #lines, MOST_UNPACKED do
    length = redis.call('RPUSH', record, unpack(lines, i, math.min(#lines, i + MOST_UNPACKED - 1)))
  end
  while length > 1 and (length > most or bytes > most_bytes) do
    bytes = bytes - #redis.call('LPOP', record)
    length = length - 1
  end
  sum.totals.record_bytes = string.format('%.0f', bytes)
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

local held = redis.call('HMGET', thread, 'claim', 'entry', 'retried_next')
if held[1] ~= claim then
  return SUPERSEDED
end
-- What may stop at a corrupt key comes first; it is repeated then.
local sums, lines, spent, previous = {}, cjson.decode(records), cjson.decode(charges), false
counts = cjson.decode(counts)
for _, line in ipairs(lines) do
  counts.record_bytes = (counts.record_bytes or 0) + #line
end
collect(sums, conversation, counts)
for i, charge in ipairs(spent) do
  local first = people + (i - 1) * CHARGE_KEYS
  charge.keys = {unpack(others, first + 1, first + CHARGE_KEYS)}
end
collect_charges(sums, spent, row_seconds, sum_seconds)
read_sums(sums)
local sum = sums[conversation]
if #lines > 0 then
  redis.call('LLEN', record)
end
redis.call('HDEL', interrupts, name)  -- first: a server without memory accepts it, and then the rest
note_runs()
if answer ~= '' then
  previous = redis.call('SET', latest, answer, 'EX', latest_seconds, 'GET')
end
if letter_id ~= '' then
  redis.call('HSET', dead, letter_id, letter)
end
touch(sum)
list_charges(sums, spent, row_seconds)
-- From here on nothing fails.
if #lines > 0 then
  remember(lines, sum)
end
write_sums(sums)
if not sum.id then
  redis.call('EXPIRE', conversation, tombstone_seconds)
  if #lines > 0 then
    redis.call('EXPIRE', record, tombstone_seconds)
  end
end
if #done > 0 then
  redis.call('HDEL', inbox, unpack(done))
end
leave(ready, held[2])
if redis.call('HLEN', inbox) == 0 then
  redis.call('DEL', turn, thread)
else
  redis.call('DEL', turn)
  redis.call('HDEL', thread, 'claim', 'worker', 'attempts', 'crashes', 'reason', 'retried',
    'retried_next', 'requester')
  if held[3] then
    redis.call('HSET', thread, 'retried', held[3])
  end
  enter(ready, thread, name)
end
return {letter_id ~= '' and drop_oldest(most_dead) or 0, previous}
