#!lua flags=allow-oom
-- Take a step of cleaning that was worked out from what the log was at that step, and do nothing if it is not any more.
-- KEYS: head, stream, kept, series, tokens, base, ended, forgotten, left, once, changes.
-- ARGV 1-5: stamp, connection, step, last change, freed bytes; 6-12: horizon, mark, trimmed, folded, sweep, sweeping,
-- swept; 13: rules that readers from START begin with; 14: notes of what left; 15: the horizon again; 16-21: how many each of: chunks
-- to drop, chunks to put (2 each), series that leave, base keeps (2 each), forgotten (2 each), changes that the mark
-- passes (2 each); then those.
-- Returns 1, 0 where another was first, or what was refused, below zero.
local function text(number) return string.format('%.0f', number) end
local head = redis.call('HMGET', KEYS[1], 'stamp', 'fences', 'step', 'changed', 'bytes')
if head[1] ~= ARGV[1] then return head[1] and -2 or -5 end
if head[2] ~= '' and string.find(head[2], ARGV[2], 1, true) then return -4 end
if head[3] ~= ARGV[3] or head[4] ~= ARGV[4] then return 0 end
local at = 22
local function each(count, size, work)
    for _ = 1, tonumber(count) do
        work(ARGV[at], ARGV[at + 1])
        at = at + size
    end
end
each(ARGV[16], 1, function(key) redis.call('ZREMRANGEBYSCORE', KEYS[3], key, key) end)
each(ARGV[17], 2, function(key, chunk) redis.call('ZADD', KEYS[3], key, chunk) end)
each(ARGV[18], 1, function(series)
    for i = 4, 8 do redis.call('HDEL', KEYS[i], series) end
end)
each(ARGV[19], 2, function(series, keep) redis.call('HSET', KEYS[6], series, keep) end)
each(ARGV[20], 2, function(series, position)
    -- What leaves now may have come before what has left already.
    if tonumber(position) > tonumber(redis.call('HGET', KEYS[8], series) or 0) then
        redis.call('HSET', KEYS[8], series, position)
    end
end)
each(ARGV[21], 2, function(position, change) redis.call('ZADD', KEYS[11], position, position .. ' ' .. change) end)
redis.call('ZREMRANGEBYSCORE', KEYS[11], '-inf', ARGV[9])
redis.call('XTRIM', KEYS[2], 'MINID', text(ARGV[8] + 1))
local step = text(head[3] + 1)
if ARGV[14] ~= '' then redis.call('XADD', KEYS[9], 'MAXLEN', 64, step .. '-0', 'l', ARGV[14]) end
local freed = tonumber(ARGV[5])
for _, ending in ipairs(redis.call('HKEYS', KEYS[10])) do
    -- Redis lets go of a table when its time has come; one that it does not let go of by itself goes with the horizon.
    if tonumber(ending) <= tonumber(ARGV[15]) or redis.call('EXISTS', KEYS[10] .. ':' .. ending) == 0 then
        freed = freed + redis.call('HGET', KEYS[10], ending)
        redis.call('UNLINK', KEYS[10] .. ':' .. ending)
        redis.call('HDEL', KEYS[10], ending)
    end
end
redis.call('HSET', KEYS[1], 'step', step, 'bytes', text(math.max(0, head[5] - freed)), 'horizon', ARGV[6],
    'mark', ARGV[7], 'trimmed', ARGV[8], 'folded', ARGV[9], 'sweep', ARGV[10], 'sweeping', ARGV[11], 'swept', ARGV[12],
    'base', ARGV[13])
return 1
