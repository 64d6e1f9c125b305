-- Refuse from now on what may yet come through a connection that broke. Only the last 500 are remembered.
-- KEYS: head. ARGV: connection.
local fences = redis.call('HGET', KEYS[1], 'fences')
if fences and not string.find(fences, ARGV[1], 1, true) then
    redis.call('HSET', KEYS[1], 'fences', string.sub(fences .. ' ' .. ARGV[1], -4500))
end
return 1
