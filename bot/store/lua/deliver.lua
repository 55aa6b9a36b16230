-- Store a message, unless it was seen before, and make its thread ready.
-- KEYS inbox, thread, turn, interrupts, ready, later, pulse, seen...
-- ARGV ts, message, name, user, seen_seconds, most: number
-- Returns {1: is new, 0: was seen, -1: the inbox is full; how many wait, a turn is under way}.
for _, mark in ipairs(seen) do
  if redis.call('EXISTS', mark) == 1 then
    return delivery(0, inbox, turn, thread)
  end
end
if redis.call('HLEN', inbox) >= most then
  return delivery(-1, inbox, turn, thread)
end
local place = {inbox = inbox, thread = thread, turn = turn, interrupts = interrupts, ready = ready,
  later = later, pulse = pulse, name = name, busy = redis.call('EXISTS', thread) == 1}
store_message(place, user, ts, message, seen, seen_seconds)
return delivery(1, inbox, turn, thread)
