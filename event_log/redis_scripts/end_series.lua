#!lua
-- End a series, if it was given no event from a position on up to now.
-- KEYS: head, stream, tokens, keeps, ended. ARGV: stamp, connection, nonce, series, its token, position up to which
-- the caller has looked for events of it, or "".
-- Returns the position of the end; 0 where the series is unknown or has ended; or what was refused, below zero;
-- -10: the caller has to look further.
local function text(number) return string.format('%.0f', number) end
local head = redis.call('HMGET', KEYS[1], 'stamp', 'fences', 'position', 'stand', 'living')
if head[1] ~= ARGV[1] then return head[1] and -2 or -5 end
if head[2] ~= '' and string.find(head[2], ARGV[2], 1, true) then return -4 end
if redis.call('HGET', KEYS[3], ARGV[4]) ~= ARGV[5] then return -1 end
if redis.call('HEXISTS', KEYS[5], ARGV[4]) == 1 then return 0 end
if ARGV[6] ~= '' and ARGV[6] ~= head[3] then
    -- What has come since the caller looked: few records, each of one series, or it shall look again.
    local entries = redis.call('XRANGE', KEYS[2], text(ARGV[6] + 1), '+', 'COUNT', 201)
    if #entries > 200 then return -10 end
    for _, entry in ipairs(entries) do
        if entry[2][1] == 'e' then
            local flags = struct.unpack('<I4', entry[2][2], 5)
            local series = flags < 2147483648 and flags or struct.unpack('<I4', entry[2][2], 13)
            if flags >= 2147483648 and flags % 2 == 1 then return -10 end
            if series == tonumber(ARGV[4]) then return 0 end
        end
    end
end
local position = text(head[3] + 1)
redis.call('XADD', KEYS[2], position .. '-' .. ARGV[3], 'c', 'end ' .. ARGV[4])
redis.call('HDEL', KEYS[4], ARGV[4])
redis.call('HSET', KEYS[5], ARGV[4], position)
local stand = string.match(head[4], '^(%-?%d+ %d*) ') .. ' ' .. ARGV[3]
redis.call('HSET', KEYS[1], 'position', position, 'changed', position, 'stand', stand, 'living', head[5] - 1)
return tonumber(position)
