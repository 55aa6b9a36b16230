-- Decide whether a message is for us, and store it accordingly, once: in the inbox, or as context.
-- KEYS inbox, thread, turn, interrupts, ready, later, conversation, speakers, overheard, channel, pulse,
--   adopted, seen...
-- ARGV ts, message, name, user, address, follow_ups, seen_seconds, early_seconds, kept_seconds,
--   speaker_seconds, most_aside: number, root: number, most: number, burst: number,
--   burst_seconds: number, daily: number
-- `address` is 'direct', 'mention' or ''; `follow_ups` applies if the channel has no setting.
-- `early_seconds`: for what may arrive before its mention; `kept_seconds`: for context.
-- `burst` in `burst_seconds`, and `daily`: how often one author may write in answer to us.
-- Returns {'new' | 'seen' | 'full' | 'overheard' | 'ignored' | 'unknown' | 'late_files' | 'looping',
-- how many wait, a turn is under way}.
local BARE = 'bare'
local place = {inbox = inbox, thread = thread, turn = turn, interrupts = interrupts, ready = ready,
  later = later, pulse = pulse, name = name}
local marks = redis.call('MGET', unpack(seen))
-- When each person last wrote (`U...`) and last mentioned us (`@U...`), when anyone first mentioned us
-- (`@first`), and how often a person wrote (`@pace:U...`); and what of this changes. By the time of
-- writing: the order of arrival changes little.
local spoke, changes = {}, {}

local function mark_seen(keys, value)
  for _, key in ipairs(keys) do
    redis.call('SET', key, value, 'EX', seen_seconds)
  end
end

local function write_changes()
  if #changes > 0 then
    redis.call('HSET', speakers, unpack(changes))
    redis.call('EXPIRE', speakers, speaker_seconds)
  end
end

local function result(verdict)
  write_changes()
  return delivery(verdict, inbox, turn, thread)
end

local function has_files(text)
  local ok, value = pcall(cjson.decode, text)
  local files = ok and type(value) == 'table' and value.files
  return type(files) == 'table' and #files > 0
end

-- An edit can turn a context message into one for us.
local function is_seen()
  for _, mark in ipairs(marks) do
    if mark and not (mark == 'overheard' and address ~= '') then
      return true
    end
  end
  return false
end

local function change(field, value)
  spoke[field] = value
  changes[#changes + 1] = field
  changes[#changes + 1] = value
end

local function note(user, at, mentions)
  local function advance(field)
    if tonumber(at) > (number(speakers, spoke[field]) or 0) then
      change(field, at)
    end
  end
  advance(user)
  if mentions then
    advance('@' .. user)
    if tonumber(at) < (number(speakers, spoke['@first']) or math.huge) then
      change('@first', at)
    end
  end
end

-- No other person has written since this person mentioned us (or at all, if no mention is known, as
-- after a loss of data).
local function is_alone(user, at)
  local since = number(speakers, spoke['@' .. user])
  if not since and spoke['@first'] then
    return false
  end
  for other, last in pairs(spoke) do
    if string.sub(other, 1, 1) ~= '@' and other ~= user then
      local ts = number(speakers, last)
      if ts > (since or 0) and ts < at then
        return false
      end
    end
  end
  return true
end

local function is_for_us(user, at)
  local rule = redis.call('HGET', channel, 'follow_ups') or follow_ups
  return rule == 'always' or (rule == 'one_person' and is_alone(user, tonumber(at)))
end

-- After a loss of data, an older thread may still be ours.
local function is_older_than_our_data()
  return root < (number(pulse, redis.call('HGET', pulse, 'born')) or math.huge)
end

-- The mark `bare` means that the message came without files: its second event may bring them.
local function deliver(at, author, text, keys)
  store_message(place, author, at, text, keys, seen_seconds, has_files(text) and '' or BARE)
end

local function is_taken(at)
  for _, other in ipairs(taken(turn)) do
    if other == at then
      return true
    end
  end
  return false
end

-- Slack sends a mention with files as two events, and one of the two may lack them.
local function add_files()
  local came_bare = false
  for _, mark in ipairs(marks) do
    came_bare = came_bare or mark == BARE
  end
  if not came_bare or not has_files(message) then
    return 'seen'
  end
  mark_seen(seen, '')
  if redis.call('HEXISTS', inbox, ts) == 0 or is_taken(ts) then
    return 'late_files'
  end
  redis.call('HSET', inbox, ts, message)
  return 'seen'
end

-- Whether the author replies to each of our answers, faster or longer than people do. Only messages
-- to an idle thread count: two bots take turns.
local function is_looping(at)
  if place.busy then
    return false
  end
  local field, windows = '@pace:' .. user, {}
  for part in string.gmatch(spoke[field] or '', '[^:]+') do
    windows[#windows + 1] = tonumber(part)
  end
  local function count(i, seconds)
    local began, found = windows[i], windows[i + 1]
    if not began or not found or at - began >= seconds then
      began, found = at, 0
    end
    windows[i], windows[i + 1] = began, found + 1
  end
  count(1, burst_seconds)
  count(3, 86400)
  local format = '%.6f:%d:%.6f:%d'
  change(field, string.format(format, windows[1], windows[2], windows[3], windows[4]))
  return windows[2] > burst or windows[4] > daily
end

local function kept()
  local list = redis.call('HKEYS', overheard)
  table.sort(list, earlier)
  return list
end

-- Only the newest messages are kept, also in threads that are not ours.
local function keep(at, message, user, marks)
  local entry = {message = message, user = user, marks = marks}
  redis.call('HSET', overheard, at, cjson.encode(entry))
  local list = kept()
  for i = 1, #list - most_aside do
    redis.call('HDEL', overheard, list[i])
  end
end

-- Deliver what arrived before the mention that it follows. Returns how many that were.
local function catch_up(list)
  local count = 0
  for _, at in ipairs(list) do
    if at == ts then
      redis.call('HDEL', overheard, at)
    elseif number(overheard, at) > tonumber(ts) then
      local entry = parse(overheard, redis.call('HGET', overheard, at))
      note(entry.user, at, false)
      if is_for_us(entry.user, at) then
        redis.call('HDEL', overheard, at)
        deliver(at, entry.user, entry.message, entry.marks)
        count = count + 1
      end
    end
  end
  return count
end

if is_seen() then
  return result(add_files())
end
place.busy = redis.call('EXISTS', thread) == 1
if address == '' and not place.busy and redis.call('EXISTS', conversation) == 0 then
  local whose = redis.call('GET', adopted)
  if whose ~= 'ours' then
    keep(ts, message, user, seen)
    redis.call('EXPIRE', overheard, early_seconds)
    return result(not whose and is_older_than_our_data() and 'unknown' or 'ignored')
  end
end
spoke = fields_of(speakers)
-- Messages before the first mention are read from Slack.
if address == '' and tonumber(ts) < (number(speakers, spoke['@first']) or 0) then
  return result('ignored')
end
note(user, ts, address ~= '')
if address ~= '' or is_for_us(user, ts) then
  if place.busy and redis.call('HLEN', inbox) >= most then
    return result('full')
  end
  if is_looping(tonumber(ts)) then
    mark_seen(seen, '')
    return result('looping')
  end
  local list, was_idle = kept(), not place.busy
  deliver(ts, user, message, seen)
  local waiting = 1 + catch_up(list)
  if was_idle then  -- it had no turn, and nothing in its inbox
    write_changes()
    return {'new', waiting, 0}
  end
  return result('new')
end
keep(ts, message, user, seen)
mark_seen(seen, 'overheard')
redis.call('EXPIRE', overheard, kept_seconds)
return result('overheard')
