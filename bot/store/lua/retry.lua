-- Put a dead letter's messages back into the inbox of their thread.
-- KEYS dead, inbox, thread, ready, turn
-- ARGV id, name, messages...
-- `messages` are pairs of a ts and a message.
-- Returns 0 if the letter was retried or dropped meanwhile.
if redis.call('HDEL', dead, id) == 0 then
  return 0
end
for i = 1, #messages, 2 do
  redis.call('HSET', inbox, messages[i], messages[i + 1])
end
if redis.call('EXISTS', thread) == 0 then
  enter(ready, thread, name)
end
-- A turn under way is not the retry.
redis.call('HSET', thread, redis.call('EXISTS', turn) == 1 and 'retried_next' or 'retried', id)
return 1
