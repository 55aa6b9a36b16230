-- Find the dead letters of a thread that contain a text. Values are not parsed: there may be thousands.
-- KEYS conversation, dead
-- ARGV text
-- A thread with a dead letter has at least a tombstone, and most deleted messages are of other threads.
if redis.call('EXISTS', conversation) == 0 then
  return {}
end
local found, all = {}, redis.call('HGETALL', dead)
for i = 2, #all, 2 do
  if string.find(all[i], text, 1, true) then
    found[#found + 1] = all[i]
  end
end
return found
