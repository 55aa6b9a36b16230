-- Store a message, unless it was seen before, and make its thread ready.
-- KEYS inbox, thread, turn, ready, seen...
-- ARGV ts, message, name, seen_seconds, most: number
-- Returns {1: is new, 0: was seen, -1: the inbox is full; how many wait, a turn is under way}.
for _, mark in ipairs(seen) do
  if redis.call('EXISTS', mark) == 1 then
    return delivery(0, inbox, turn)
  end
end
if redis.call('HLEN', inbox) >= most then
  return delivery(-1, inbox, turn)
end
store_message(inbox, thread, ready, name, ts, message, seen, seen_seconds)
return delivery(1, inbox, turn)
