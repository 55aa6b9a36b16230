-- Find the dead letters that contain a text. Values are not parsed: there may be thousands.
-- KEYS dead
-- ARGV text
local found, all = {}, redis.call('HGETALL', dead)
for i = 2, #all, 2 do
  if string.find(all[i], text, 1, true) then
    found[#found + 1] = all[i]
  end
end
return found
