-- Drop some of the records that a swap has left behind ten minutes ago: about 1,000 positions of them. The record of the
-- cursor stays, by which a reader recognises the history.
-- KEYS: head, stream. ARGV: now or ''. Returns 1 where there may be more to drop.
local head = redis.call('HMGET', KEYS[1], 'swaps', 'trimmed')
if not head[1] then return 0 end
local now = tonumber(ARGV[1])
if not now then
    local told = redis.call('TIME')
    now = told[1] * 1000000 + told[2]
end
local swaps, target, rest = head[1], nil, nil
for when, id, after in string.gmatch(swaps, '(%d+):(%S+) ()') do
    if now - when < 600000000 then break end
    target, rest = id, after
end
if not target then return 0 end
local first = redis.call('XRANGE', KEYS[2], '-', target, 'COUNT', 1)[1]
local done = not first or first[1] == target
if not done then
    local goal = tonumber(string.match(target, '^%d+'))
    local step = tonumber(string.match(first[1], '^%d+')) + 1000
    redis.call('XTRIM', KEYS[2], 'MINID', step < goal and string.format('%.0f', step) or target)
    done = step >= goal
end
if done then
    local used = redis.call('MEMORY', 'USAGE', KEYS[2], 'SAMPLES', 5) or 0
    redis.call('HSET', KEYS[1], 'swaps', string.sub(swaps, rest), 'bytes', used)
end
return done and 0 or 1
