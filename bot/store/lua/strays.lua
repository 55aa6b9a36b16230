-- Find the entries that are pending to a worker for a while, and that it does not know of.
-- KEYS  ready
-- ARGV  worker, ms, ids of the entries it knows of...
-- Gives ids and names of threads as a flat list.
local known = {}
for i = 3, #ARGV do
  known[ARGV[i]] = true
end
local pending = redis.pcall('XPENDING', KEYS[1], GROUP, 'IDLE', ARGV[2], '-', '+', 10000, ARGV[1])
if pending.err then
  return {}
end
local found = {}
for _, row in ipairs(pending) do
  if not known[row[1]] then
    local entry = redis.call('XRANGE', KEYS[1], row[1], row[1])[1]
    if entry then
      found[#found + 1] = row[1]
      found[#found + 1] = entry[2][2]
    end
  end
end
return found
