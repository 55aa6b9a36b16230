-- Find entries that have been pending for a worker for a while but that it does not know.
-- KEYS ready
-- ARGV worker, ms, known_ids...
-- Returns ids and names of threads as a flat list.
local known = {}
for _, id in ipairs(known_ids) do
  known[id] = true
end
local pending = redis.pcall('XPENDING', ready, GROUP, 'IDLE', ms, '-', '+', 10000, worker)
if pending.err then
  return {}
end
local found = {}
for _, row in ipairs(pending) do
  if not known[row[1]] then
    local entry = redis.call('XRANGE', ready, row[1], row[1])[1]
    if entry then
      found[#found + 1] = row[1]
      found[#found + 1] = entry[2][2]
    end
  end
end
return found
