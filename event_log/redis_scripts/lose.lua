#!lua
-- Note that something was lost behind a position, and jump where the log has not come to where the reader stands that
-- found out: what it has read has no place in the history there is now.
-- KEYS: head. ARGV: position, where the reader stands. Returns 1, or -5 where there is no log.
-- As in arrive.lua.
local function beyond(position, jump)
    local now = redis.pcall('TIME')
    local told = now.err and 0 or (now[1] - 1767225600) * 2097152 + math.floor(now[2] * 2.097152)
    if told <= 0 or told > 4503599627370496 or told + jump <= position then return position + jump end
    return told + jump
end
local head = redis.call('HMGET', KEYS[1], 'format', 'position', 'jumps')
if not head[1] then return -5 end
redis.call('HSET', KEYS[1], 'lost', ARGV[1])
if tonumber(head[2]) >= tonumber(ARGV[2]) then return 1 end
local to = string.format('%.0f', beyond(tonumber(ARGV[2]), 4294967296))
local jumps = {}
for jump in string.gmatch(head[3] .. ' ' .. head[2] .. ':' .. to, '%S+') do jumps[#jumps + 1] = jump end
local recent = table.concat(jumps, ' ', math.max(1, #jumps - 255))
redis.call('HSET', KEYS[1], 'position', to, 'jumps', recent)
return 1
