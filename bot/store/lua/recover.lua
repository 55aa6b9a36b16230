-- Restore the place of a thread with messages if it was lost with a corrupt key.
-- KEYS thread, inbox, turn, ready, later
-- ARGV name
-- Returns 1 if it was lost.
return recover(ready, later, thread, name, inbox, turn) and 1 or 0
