#!lua
-- Store a record of series that are all registered: the short way of a write without terms.
-- KEYS: head, stream, tokens. ARGV: stamp, connection, stand, nonce, events, record, limit of bytes.
-- Returns the position of its last event, or what was refused, below zero (see redis_scripts/__init__.py).
--include sealed
local head = redis.call('HMGET', KEYS[1], 'stamp', 'stand', 'position', 'bytes', 'fences')
if head[1] ~= ARGV[1] then return head[1] and -2 or -5 end
if head[5] and head[5] ~= '' and string.find(head[5], ARGV[2], 1, true) then return -4 end
if head[2] ~= ARGV[3] then
    -- One that knows only the first of the registered series may write to those, but not to one that has ended.
    local newest, token, ends = string.match(ARGV[3], '^(%-?%d+) (%d*) (%d*)$')
    if string.match(head[2], '(%d*)$') ~= ends then return -1 end
    if newest ~= '-1' and redis.call('HGET', KEYS[3], newest) ~= token then return -1 end
end
local bytes = head[4] + #ARGV[6] + 20
if bytes > tonumber(ARGV[7]) then return -3 end
local position = head[3] + ARGV[5]
local number = string.format('%.0f', position)
redis.call('XADD', KEYS[2], number .. '-' .. ARGV[4], 'e', sealed(ARGV[6], position))
redis.call('HSET', KEYS[1], 'position', number, 'bytes', string.format('%.0f', bytes))
return position
