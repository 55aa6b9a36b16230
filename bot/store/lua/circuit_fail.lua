-- Open the circuit of a dependency, or wait longer after a probe that failed.
-- KEYS circuits
-- ARGV name, reason, first: number, longest: number, asked: number, probed: number
-- `asked` is the pause that the dependency asks for, `probed` 1 after a probe.
-- Returns {1 if the circuit was closed before, seconds until the next probe}.
ignore_memory_limit(circuits)
local time = now()
local circuit = read_circuit(circuits, name)
local opened = not circuit or circuit.state ~= 'open'
if opened then
  -- A dependency that fails again soon after a recovery is probed less often than a new failure. If that
  -- took less than the first pause, it had not recovered: it answers one kind of call and refuses another.
  local failures = circuit and circuit.failures or 0
  if circuit and time - circuit.closed_at >= first then
    failures = math.floor(failures / 2)
  end
  circuit = {state = 'open', since = time, failures = failures}
end
if opened or probed == 1 then
  circuit.failures = circuit.failures + 1
  circuit.reason = reason
  local pause = math.min(longest, first * 2 ^ math.min(circuit.failures - 1, 20))
  circuit.retry_at = time + math.max(pause, asked)
  write_circuit(circuits, name, circuit)
end
return {opened and 1 or 0, tostring(circuit.retry_at - time)}
