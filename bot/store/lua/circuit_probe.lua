-- Ask to be the probe of a dependency whose circuit is open.
-- KEYS circuits
-- ARGV name, seconds: number
-- `seconds` is how long the probe may take.
-- Returns '-1' if the circuit is closed, '0' if the caller is the probe, else the seconds until
-- the next probe.
local circuit = read_circuit(circuits, name)
if not circuit or circuit.state ~= 'open' then
  return '-1'
end
local time = now()
if time < circuit.retry_at then
  return tostring(circuit.retry_at - time)
end
circuit.retry_at = time + seconds
write_circuit(circuits, name, circuit)
return '0'
