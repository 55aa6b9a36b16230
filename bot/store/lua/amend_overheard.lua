-- Change the text of a message that was overheard, or forget it.
-- KEYS  overheard
-- ARGV  ts, message ('' to forget it)
-- Gives 1 where there was one.
local entry = redis.call('HGET', KEYS[1], ARGV[1])
if not entry then
  return 0
end
if ARGV[2] == '' then
  return redis.call('HDEL', KEYS[1], ARGV[1])
end
local kept = parse(KEYS[1], entry)
kept.message = ARGV[2]
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(kept))
return 1
