#!lua
-- Put rules in force, beginning a log where there is none.
-- KEYS: head, stream, and all others. ARGV: stamp, connection, nonce, start, "<retention> <keep_last>", format, position that a new log
-- begins behind: not 0 where this process knows that there was one, which is lost then.
-- Returns {position}, or {what was refused, below zero}: {-11}: keys of somebody else, {-12, format}: another format.
local function text(number) return string.format('%.0f', number) end
-- As in arrive.lua, for a position that has jumped already.
local function beyond(position)
    local now = redis.pcall('TIME')
    local told = now.err and 0 or (now[1] - 1767225600) * 2097152 + 4294967296
    if told > 4503599627370496 then return position end
    return math.max(position, told)
end
local head = redis.call('HMGET', KEYS[1], 'stamp', 'fences', 'starts', 'rules', 'position', 'horizon', 'format')
if head[7] and head[7] ~= ARGV[6] then return {-12, head[7]} end
if not head[7] then
    if redis.call('EXISTS', KEYS[1]) == 1 then return {-11} end
    for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
    local behind = tonumber(ARGV[7])
    if behind > 0 then
        behind = beyond(behind)
        redis.call('HSET', KEYS[1], 'lost', 0)
    end
    redis.call('HSET', KEYS[1], 'format', ARGV[6], 'id', ARGV[3], 'stamp', ARGV[1], 'position', text(behind),
        'bytes', 0, 'stand', '-1  ', 'living', 0, 'horizon', 0, 'step', 0, 'mark', text(behind), 'trimmed', text(behind),
        'changed', 0, 'folded', 0, 'sweep', 0, 'sweeping', 0, 'swept', 0, 'largest', 0, 'rules', ARGV[5],
        'base', ARGV[5], 'starts', ARGV[4], 'jumps', behind > 0 and '0:' .. text(behind) or '', 'fences', '')
    return {behind}
end
if head[1] ~= ARGV[1] then return {-2} end
if head[2] ~= '' and string.find(head[2], ARGV[2], 1, true) then return {-4} end
if string.find(head[3], ARGV[4], 1, true) then return {tonumber(head[5])} end
redis.call('HSET', KEYS[1], 'starts', string.sub(head[3] .. ' ' .. ARGV[4], -33000))
if head[4] == ARGV[5] then return {tonumber(head[5])} end
local position = text(head[5] + 1)
redis.call('XADD', KEYS[2], position .. '-' .. ARGV[3], 'c', 'rules ' .. ARGV[5] .. ' ' .. head[6])
redis.call('HSET', KEYS[1], 'position', position, 'changed', position, 'rules', ARGV[5])
return {tonumber(position)}
