-- Decide whether a message is for us, and keep it accordingly, once: in the inbox, or aside as
-- something that was overheard in a thread of ours.
-- KEYS  inbox, thread, turn, ready, conversation, speakers, overheard, channel, pulse, adopted,
--       seen marks...
-- ARGV  ts, message, name of the thread, user, how it is addressed ('direct', 'mention' or ''),
--       what holds for follow-ups unless the channel says otherwise, seconds to remember the marks,
--       to keep what may come before its mention, what was overheard, and who spoke; how many
--       messages are kept aside; ts of the thread's root; how many messages are kept in the inbox
-- Gives {'new' | 'seen' | 'full' | 'overheard' | 'ignored' | 'strange', how many wait, a turn is under way}.
local inbox, thread, turn, ready = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local conversation, speakers, overheard, channel = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local pulse, adopted = KEYS[9], KEYS[10]
local FIRST_MARK = 11
local ts, name, address, follow_ups = ARGV[1], ARGV[3], ARGV[5], ARGV[6]
local seen_seconds, early_seconds, kept_seconds = ARGV[7], ARGV[8], ARGV[9]
local speaker_seconds, most, root = ARGV[10], tonumber(ARGV[11]), tonumber(ARGV[12])

local function heard(verdict)
  return {verdict, redis.call('HLEN', inbox) - #taken(turn), redis.call('EXISTS', turn)}
end

-- What was only overheard can still be addressed to us by an edit.
local function is_seen()
  for i = FIRST_MARK, #KEYS do
    local mark = redis.call('GET', KEYS[i])
    if mark and not (mark == 'overheard' and address ~= '') then
      return true
    end
  end
  return false
end

local function mark_seen(marks, value)
  for _, mark in ipairs(marks) do
    redis.call('SET', mark, value, 'EX', seen_seconds)
  end
end

-- Who wrote when for the last time, who mentioned us when for the last time (`@U...`), and when
-- somebody first did. By the time of writing: the order of arrival changes little.
local function note(user, at, mentions)
  local function advance(field)
    if tonumber(at) > (number(speakers, redis.call('HGET', speakers, field)) or 0) then
      redis.call('HSET', speakers, field, at)
    end
  end
  advance(user)
  if mentions then
    advance('@' .. user)
    if tonumber(at) < (number(speakers, redis.call('HGET', speakers, '@first')) or math.huge) then
      redis.call('HSET', speakers, '@first', at)
    end
  end
  redis.call('EXPIRE', speakers, speaker_seconds)
end

-- Nobody but this person has written since this person mentioned us (or ever, where no mention is
-- known, as after a loss of data).
local function is_alone(user, at)
  local since = number(speakers, redis.call('HGET', speakers, '@' .. user))
  if not since and redis.call('HEXISTS', speakers, '@first') == 1 then
    return false
  end
  local all = redis.call('HGETALL', speakers)
  for i = 1, #all, 2 do
    local other, spoke = all[i], number(speakers, all[i + 1])
    if string.sub(other, 1, 1) ~= '@' and other ~= user and spoke > (since or 0) and spoke < at then
      return false
    end
  end
  return true
end

local function is_for_us(user, at)
  local rule = redis.call('HGET', channel, 'follow_ups') or follow_ups
  return rule == 'always' or (rule == 'one_person' and is_alone(user, tonumber(at)))
end

-- Where the data was lost, the thread may be one of ours all the same.
local function is_older_than_our_data()
  return root < (number(pulse, redis.call('HGET', pulse, 'born')) or math.huge)
end

local function deliver(at, message, marks)
  redis.call('HSET', inbox, at, message)
  if redis.call('EXISTS', thread) == 0 then
    enter(ready, thread, name)
  end
  mark_seen(marks, '')
end

local function kept()
  local list = redis.call('HKEYS', overheard)
  table.sort(list, earlier)
  return list
end

-- At most so many for each thread, the newest, also in threads that are not ours.
local function keep(at, message, user, marks)
  local entry = {message = message, user = user, marks = marks}
  redis.call('HSET', overheard, at, cjson.encode(entry))
  local list = kept()
  for i = 1, #list - most do
    redis.call('HDEL', overheard, list[i])
  end
end

-- What was delivered before the mention that it follows.
local function catch_up()
  for _, at in ipairs(kept()) do
    if number(overheard, at) > tonumber(ts) then
      local entry = parse(overheard, redis.call('HGET', overheard, at))
      note(entry.user, at, false)
      if is_for_us(entry.user, at) then
        redis.call('HDEL', overheard, at)
        deliver(at, entry.message, entry.marks)
      end
    end
  end
end

local marks = {}
for i = FIRST_MARK, #KEYS do
  marks[#marks + 1] = KEYS[i]
end
if is_seen() then
  return heard('seen')
end
local whose = redis.call('GET', adopted)
if address == '' and redis.call('EXISTS', conversation, thread) == 0 and whose ~= 'ours' then
  keep(ts, ARGV[2], ARGV[4], marks)
  redis.call('EXPIRE', overheard, early_seconds)
  return heard(not whose and is_older_than_our_data() and 'strange' or 'ignored')
end
-- What stands before the first mention is read from Slack.
if address == '' and tonumber(ts) < (number(speakers, redis.call('HGET', speakers, '@first')) or 0) then
  return heard('ignored')
end
note(ARGV[4], ts, address ~= '')
if address ~= '' or is_for_us(ARGV[4], ts) then
  if redis.call('HLEN', inbox) >= tonumber(ARGV[13]) then
    return heard('full')
  end
  redis.call('HDEL', overheard, ts)
  deliver(ts, ARGV[2], marks)
  catch_up()
  return heard('new')
end
keep(ts, ARGV[2], ARGV[4], marks)
mark_seen(marks, 'overheard')
redis.call('EXPIRE', overheard, kept_seconds)
return heard('overheard')
