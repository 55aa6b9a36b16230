-- Read everything of a thread at one moment, for a backup.
-- KEYS thread, inbox, turn, conversation, record, speakers, adopted, overheard, later, interrupts
-- ARGV name
-- Returns a list of {family, type, milliseconds until it expires or -1, values as a flat list}. The
-- thread's place in `later` and its interrupt come as one more sorted set and hash. Values of another
-- type than string, hash and list are not ours.
local keys = {thread = thread, inbox = inbox, turn = turn, conversation = conversation, record = record,
  speakers = speakers, adopted = adopted, overheard = overheard}
local found = {}
for family, key in pairs(keys) do
  local type, values = redis.call('TYPE', key).ok, nil
  if type == 'hash' then
    values = redis.call('HGETALL', key)
  elseif type == 'list' then
    values = redis.call('LRANGE', key, 0, -1)
  elseif type == 'string' then
    values = {redis.call('GET', key)}
  end
  if values then
    found[#found + 1] = {family, type, redis.call('PTTL', key), values}
  end
end
local due = redis.pcall('ZSCORE', later, name)
if type(due) == 'string' then
  found[#found + 1] = {'later', 'zset', -1, {name, due}}
end
local reason = redis.pcall('HGET', interrupts, name)
if type(reason) == 'string' then
  found[#found + 1] = {'interrupts', 'hash', -1, {name, reason}}
end
return found
