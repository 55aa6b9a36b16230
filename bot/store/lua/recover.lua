-- Give a thread with messages back its place, where that was lost with a corrupt key.
-- KEYS  thread, inbox, turn, ready, later
-- ARGV  name of the thread
-- Gives 1 where it was lost.
local thread, inbox, turn, ready, later = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
return recover(ready, later, thread, ARGV[1], inbox, turn) and 1 or 0
