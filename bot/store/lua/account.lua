-- Count what a turn spent, once: the mark is a step of its journal.
-- KEYS thread, turn, usage, used, top_channels, top_people, teams, sums...
-- ARGV claim, day, channel, person, row_seconds, sum_seconds, tokens, team, mark, counts...
-- `counts` are pairs of a kind and its count.
-- `claim` is '' for a run that outlived its turn: the caller ensures that it is counted once.
-- Returns 0 where the turn was counted before.
if claim ~= '' then
  if not holds(thread, claim) then
    return SUPERSEDED
  end
  insist(turn)
  if redis.call('HSETNX', turn, '=' .. mark, 'true') == 0 then
    return 0
  end
end
local row = channel .. ':' .. person .. ':'
for i = 1, #counts, 2 do
  local kind, count = counts[i], counts[i + 1]
  if count ~= '0' then
    add(usage, row .. kind, count)
    for _, sum in ipairs(sums) do
      add(sum, kind, count)
    end
  end
end
redis.call('SADD', teams, team)
redis.call('SADD', used, day .. ':' .. channel)
redis.call('ZINCRBY', top_channels, tokens, channel)
redis.call('ZINCRBY', top_people, tokens, person)
for _, key in ipairs({usage, used, top_channels, top_people}) do
  redis.call('EXPIRE', key, row_seconds)
end
for _, sum in ipairs(sums) do
  redis.call('EXPIRE', sum, sum_seconds)
end
return 1
