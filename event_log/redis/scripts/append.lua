-- Append a record.
-- KEYS: head, stream. ARGV: stamp, connection, history, known or '', oldest or '', limit of bytes, kind with takes and
-- nonce as packed bytes, takes, payload, 1 if timed, 1 if a fence, moment or '', span, now or ''.
-- Returns {position, number}, or {code} of what was refused, below zero (see scripts/__init__.py).
local head = redis.call('HMGET', KEYS[1], 'stamp', 'fences', 'history', 'fence', 'horizon', 'bytes', 'blobs', 'position',
    'number', 'time', 'trial', 'skew')
if head[1] ~= ARGV[1] then return {-2} end
if head[2] ~= '' and string.find(head[2], ARGV[2], 1, true) then return {-4} end
if head[3] ~= ARGV[3] then return {-5} end
if ARGV[4] ~= '' and tonumber(ARGV[4]) < tonumber(head[4]) then return {-6} end
if ARGV[5] ~= '' and head[5] ~= '' and tonumber(ARGV[5]) <= tonumber(head[5]) then return {-7} end
local bytes = head[6] + #ARGV[9] + 60
if bytes + head[7] > tonumber(ARGV[6]) then return {-3} end
local position = string.format('%.0f', head[8] + ARGV[8])
local number = string.format('%.0f', head[9] + 1)
local time = 0
local changed = {'position', position, 'number', number, 'bytes', string.format('%.0f', bytes)}
local function set(field, value)
    changed[#changed + 1] = field
    changed[#changed + 1] = value
end
if ARGV[10] == '1' or ARGV[12] ~= '' then
    -- The log's time: see time.lua, which this repeats, as scripts cannot call each other.
    local now = tonumber(ARGV[14])
    if not now then
        local told = redis.call('TIME')
        now = told[1] * 1000000 + told[2]
    end
    if head[11] ~= '' then
        if now - head[11] < 600000000 then now = now - head[12] else set('trial', '') end
    end
    time = math.max(tonumber(head[10]), now)
    set('time', string.format('%.0f', time))
end
if ARGV[12] ~= '' then
    local horizon = math.min(tonumber(ARGV[12]), time) - ARGV[13]
    if head[5] == '' or horizon > tonumber(head[5]) then set('horizon', string.format('%.0f', horizon)) end
end
if ARGV[11] == '1' then set('fence', number) end
redis.call('XADD', KEYS[2], position .. '-' .. number, 'h', ARGV[7] .. string.format('%.0f', time), 'p', ARGV[9])
redis.call('HSET', KEYS[1], unpack(changed))
return {head[8] + ARGV[8], head[9] + 1}
