-- Take the next threads that wait for a dependency off its list: one to probe it, or some more of
-- those that waited for its recovery.
-- KEYS circuits, parked
-- ARGV name, most: number, gap: number, healthy_after: number
-- `gap` is the least time between two calls by all workers together.
-- Returns {1 if the dependency has been up for `healthy_after` seconds and nothing is parked,
-- thread...}.
local circuit = read_circuit(circuits, name)
if not circuit then
  return {0}
end
local time = now()
if circuit.state == 'open' then
  if time < circuit.retry_at then
    return {0}
  end
  most = 1
elseif time - (circuit.resumed_at or 0) < gap then
  return {0}
end
circuit.resumed_at = time
write_circuit(circuits, name, circuit)
local reply = {0}
for i, item in ipairs(redis.call('ZPOPMIN', parked, most)) do
  if i % 2 == 1 then
    reply[#reply + 1] = item
  end
end
if circuit.state == 'closed' and #reply == 1 and time - circuit.closed_at >= healthy_after then
  reply[1] = 1
end
return reply
