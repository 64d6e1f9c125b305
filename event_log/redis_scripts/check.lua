#!lua
-- A write of nothing: refused where an append would be.
-- KEYS: head. ARGV: format. Returns the bytes used, or -5 where there is no log, -11 where there are keys of somebody
-- else, and the format where it is another one.
local head = redis.call('HMGET', KEYS[1], 'bytes', 'format')
if head[2] == ARGV[1] then return tonumber(head[1]) end
return head[2] or (redis.call('EXISTS', KEYS[1]) == 1 and -11 or -5)
