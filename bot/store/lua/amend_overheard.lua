-- Change the text of a message that is context only, or remove it.
-- KEYS overheard
-- ARGV ts, message
-- `message` is '' to remove it.
-- Returns 1 if there was one.
local entry = redis.call('HGET', overheard, ts)
if not entry then
  return 0
end
if message == '' then
  return redis.call('HDEL', overheard, ts)
end
local kept = parse(overheard, entry)
kept.message = message
redis.call('HSET', overheard, ts, cjson.encode(kept))
return 1
