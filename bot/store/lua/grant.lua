-- Remember that a person allowed a tool in a thread.
-- KEYS thread, conversation
-- ARGV claim, field, by, most: number
-- Returns 0 if the thread has no conversation, or `most` grants.
if not holds(thread, claim) then
  return SUPERSEDED
end
local count, exists = 0, false
for _, name in ipairs(redis.call('HKEYS', conversation)) do
  exists = exists or name == 'id'
  if string.sub(name, 1, 6) == 'allow:' then
    count = count + 1
  end
end
if not exists or count >= most then
  return 0
end
redis.call('HSET', conversation, field, by)
return 1
