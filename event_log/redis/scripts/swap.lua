-- Put a manifest in force in place of the one of the generation before. The blobs it names stay, those of the one
-- before that it does not name go in ten minutes, and so do the records up to its cursor (see trim.lua).
-- KEYS: head, manifest, then the keys of the new blobs, then those of the old ones that go.
-- ARGV: stamp, history, generation before, number, position, data, names, bytes of the blobs, how many new keys, now or ''.
-- Returns 1, 0 where another one was first or a blob is gone, -2 where Redis was started or promoted.
local head = redis.call('HMGET', KEYS[1], 'stamp', 'history', 'swaps')
if head[1] ~= ARGV[1] then return -2 end
if head[2] ~= ARGV[2] or redis.call('HGET', KEYS[2], 'generation') ~= ARGV[3] then return 0 end
for index = 3, 2 + ARGV[9] do
    if redis.call('EXISTS', KEYS[index]) == 0 then return 0 end
end
for index = 3, #KEYS do
    if index <= 2 + ARGV[9] then redis.call('PERSIST', KEYS[index]) else redis.call('EXPIRE', KEYS[index], 600) end
end
local now = tonumber(ARGV[10])
if not now then
    local told = redis.call('TIME')
    now = told[1] * 1000000 + told[2]
end
redis.call('HSET', KEYS[2], 'generation', string.format('%.0f', ARGV[3] + 1), 'number', ARGV[4], 'position', ARGV[5],
    'data', ARGV[6], 'blobs', ARGV[7])
redis.call('HSET', KEYS[1], 'blobs', ARGV[8], 'swaps',
    head[3] .. string.format('%.0f', now) .. ':' .. ARGV[5] .. '-' .. ARGV[4] .. ' ')
return 1
