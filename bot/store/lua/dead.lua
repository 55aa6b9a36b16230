-- List the consumers whose heartbeat has stopped.
-- KEYS workers, pulse, ready
-- ARGV worker
-- `worker` is the caller, which is not listed.

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
    if consumer[i] == 'name' and consumer[i + 1] ~= worker then
      local alive_until = redis.call('ZSCORE', workers, consumer[i + 1])
      if not alive_until or tonumber(alive_until) < time then
        names[#names + 1] = consumer[i + 1]
      end
    end
  end
end
return names
