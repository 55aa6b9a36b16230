-- Turn a thread's remote conversation into an orphan. The record stays: the next run begins a new
-- conversation from it, as it does when the conversation belongs to another engine.
-- KEYS thread, conversation, orphans
-- ARGV claim
if not holds(thread, claim) then
  return SUPERSEDED
end
local old = redis.call('HMGET', conversation, 'engine', 'id')
if old[2] and old[2] ~= '' then
  redis.call('ZADD', orphans, string.format('%.6f', now()), old[1] .. '|' .. old[2])
  redis.call('HSET', conversation, 'engine', '', 'id', '', 'last_item_id', '')
end
return redis.status_reply('OK')
