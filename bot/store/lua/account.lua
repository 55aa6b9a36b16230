-- Add to the counts of what was spent, once: the mark is a step of the turn's journal.
-- KEYS thread, turn, keys...
-- ARGV claim, mark, charge, row_seconds, sum_seconds
-- `charge` is JSON: see `collect_charges`, also for `keys`.
-- `claim` is '' for a run that outlived its turn: the caller ensures that it is counted once.
-- Returns 0 if the turn was counted before.
local sums = {}
charge = cjson.decode(charge)
charge.keys = keys
if claim ~= '' then
  if not holds(thread, claim) then
    return SUPERSEDED
  elseif redis.call('HEXISTS', turn, '=' .. mark) == 1 then
    return 0
  end
  ignore_memory_limit(turn)
end
collect_charges(sums, {charge}, row_seconds, sum_seconds)
read_sums(sums)
list_charges(sums, {charge}, row_seconds)
write_sums(sums)
if claim ~= '' then
  redis.call('HSET', turn, '=' .. mark, 'true')
end
return 1
