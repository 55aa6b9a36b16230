-- Name the consumers that no longer beat.
-- KEYS  workers, pulse, ready
-- ARGV  worker that asks
local workers, pulse, ready = KEYS[1], KEYS[2], KEYS[3]

local time = now()
local may_judge_from = redis.call('HGET', pulse, 'judge_from')
if not may_judge_from or number(pulse, may_judge_from) > time then
  return {}
end
local consumers = redis.pcall('XINFO', 'CONSUMERS', ready, GROUP)
if consumers.err then
  return {}
end
local names = {}
for _, consumer in ipairs(consumers) do
  for i = 1, #consumer, 2 do
    if consumer[i] == 'name' and consumer[i + 1] ~= ARGV[1] then
      local alive_until = redis.call('ZSCORE', workers, consumer[i + 1])
      if not alive_until or tonumber(alive_until) < time then
        names[#names + 1] = consumer[i + 1]
      end
    end
  end
end
return names
