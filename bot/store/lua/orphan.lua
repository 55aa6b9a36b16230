-- Let a conversation without a thread be deleted from the server, some time from now.
-- KEYS  orphans
-- ARGV  seconds, name of the orphan
insist(KEYS[1])
redis.call('ZADD', KEYS[1], string.format('%.6f', now() + ARGV[1]), ARGV[2])
return redis.status_reply('OK')
