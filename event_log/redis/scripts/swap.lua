-- Put a manifest in force in place of the one of the generation before. The blobs that only the new one names stay, those
-- that only the old one names go in ten minutes.
-- KEYS: head, manifest, then the keys of the new blobs, then those of the old ones that go.
-- ARGV: mark, generation before, generation, number, how many new keys, growth of all blobs in bytes, then the fields.
-- Returns 1, or 0 where another one was first or a blob is gone; -2 where the log has another history.
local mark, generation = unpack(redis.call('HMGET', KEYS[1], 'mark', 'generation'))
if mark ~= ARGV[1] then return -2 end
local new = 2 + ARGV[5]
if generation ~= ARGV[2] or redis.call('EXISTS', KEYS[1], unpack(KEYS, 3, new)) < new - 1 then return 0 end
for index = 3, #KEYS do
    if index <= new then redis.call('PERSIST', KEYS[index]) else redis.call('EXPIRE', KEYS[index], 600) end
end
redis.call('HSET', KEYS[1], 'generation', ARGV[3], 'compacted', ARGV[4])
redis.call('HINCRBY', KEYS[1], 'bytes', ARGV[6])
redis.call('HSET', KEYS[2], unpack(ARGV, 7))
return 1
