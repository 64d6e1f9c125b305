#!lua
-- A write of nothing: refused where an append would be.
-- KEYS: head. Returns the bytes used, or -5 where there is no log.
return tonumber(redis.call('HGET', KEYS[1], 'bytes') or -5)
