-- Reserve what a turn may use, unless what was used and reserved reaches a limit.
-- KEYS reservations, day, month
-- ARGV turn, seconds: number, min_tokens: number, min_cost: number, max_tokens, max_cost
-- `day` and `month` are sums. `max_tokens` (a day) and `max_cost` (a month, in microdollars) are '' where
-- there is no limit. The reservation is at least the average of the turns so far. A turn's own
-- reservation does not count against it.
-- Returns {whether it was reserved, tokens used, microdollars used}.
max_tokens, max_cost = tonumber(max_tokens), tonumber(max_cost)

local function count(key, ...)
  local sum = 0
  for _, value in ipairs(redis.call('HMGET', key, ...)) do
    sum = sum + (tonumber(value) or 0)
  end
  return sum
end

local function average(used, key)
  return math.ceil(used / math.max(1, count(key, 'turns')))
end

local time = now()
local reserved_tokens, reserved_cost = 0, 0
local all = redis.call('HGETALL', reservations)
for i = 1, #all, 2 do
  local known, entry = pcall(cjson.decode, all[i + 1])
  if not known or (type(entry) == 'table' and tonumber(entry.until_) or 0) < time then
    redis.call('HDEL', reservations, all[i])
  elseif all[i] ~= turn then
    reserved_tokens = reserved_tokens + entry.tokens
    reserved_cost = reserved_cost + entry.cost
  end
end
local used_tokens = count(day, 'input_tokens', 'output_tokens')
local used_cost = count(month, 'microdollars')
local result = {1, string.format('%.0f', used_tokens), string.format('%.0f', used_cost)}
if (max_tokens and used_tokens + reserved_tokens >= max_tokens)
  or (max_cost and used_cost + reserved_cost >= max_cost) then
  result[1] = 0
  return result
end
redis.call('HSET', reservations, turn, cjson.encode({
  tokens = math.max(min_tokens, average(used_tokens, day)),
  cost = math.max(min_cost, average(used_cost, month)),
  until_ = time + seconds,
}))
redis.call('EXPIRE', reservations, seconds)
return result
