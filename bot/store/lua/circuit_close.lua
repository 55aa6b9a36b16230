-- Close a circuit: the dependency has answered.
-- KEYS circuits
-- ARGV name
-- Returns the seconds that it was open, '-1' if it was not.
local circuit = read_circuit(circuits, name)
if not circuit or circuit.state ~= 'open' then
  return '-1'
end
local time = now()
write_circuit(circuits, name, {state = 'closed', closed_at = time, failures = circuit.failures})
return tostring(time - circuit.since)
