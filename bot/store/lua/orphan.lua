-- Schedule a remote conversation without a thread for deletion.
-- KEYS orphans
-- ARGV seconds: number, orphan
write('ZADD', orphans, string.format('%.6f', now() + seconds), orphan)
return redis.status_reply('OK')
