-- Begin a log where there is none; else, before the first append to a Redis that was started or promoted since the last
-- one, begin another history: positions jump, so that none that may have been given and lost is given again.
-- The stamp is looked up here (see Session.stamp): a connection that has outlived a demotion and a promotion knows an
-- older one, and to begin a history for that again and again would be to have none at all.
-- KEYS: head, stream, manifest. ARGV: a random number for the history, the highest position that this process knows of,
-- kind of a jump (one byte), now or ''.
local run = string.match(redis.call('INFO', 'server'), '\nrun_id:(%w+)') or ''
local replid = string.match(redis.call('INFO', 'replication'), '\nmaster_replid:(%w+)') or ''
local stamp = string.sub(redis.sha1hex(run .. replid), 1, 12)
local now = tonumber(ARGV[4])
if not now then
    local told = redis.call('TIME')
    now = told[1] * 1000000 + told[2]
end
local time = string.format('%.0f', now)
local head = redis.call('HMGET', KEYS[1], 'stamp', 'position', 'number', 'time')
if not head[1] then
    if redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then return -8 end
    redis.call('HSET', KEYS[1], 'stamp', stamp, 'history', ARGV[1], 'position', 0, 'number', 0, 'fence', 0, 'horizon', '',
        'fences', '', 'bytes', 0, 'blobs', 0, 'time', time, 'trial', '', 'skew', 0, 'trimmed', 0, 'swaps', '')
    redis.call('HSET', KEYS[3], 'generation', 0, 'number', 0, 'position', 0, 'data', '', 'blobs', '')
    return 1
end
if head[1] == stamp then return 0 end
-- The clock in microseconds is ahead of any position that a log can have come to by counting, and below 2^53.
local known = math.max(tonumber(head[2]), tonumber(ARGV[2]))
local to = math.max(known + 1000000000, now < 9007199254740992 and now or 0)
local position, number = string.format('%.0f', to), string.format('%.0f', head[3] + 1)
local jump = string.format('%.0f', to - head[2])
redis.call('XADD', KEYS[2], position .. '-' .. number, 'h', ARGV[3] .. struct.pack('<d', to - head[2]) .. 'arriving0',
    'p', '')
redis.call('HSET', KEYS[1], 'stamp', stamp, 'history', ARGV[1], 'position', position, 'number', number, 'fences', '',
    'fence', number)
local skew = now - head[4]
if math.abs(skew) > 60000000 then
    redis.call('HSET', KEYS[1], 'trial', time, 'skew', string.format('%.0f', skew))
else
    redis.call('HSET', KEYS[1], 'trial', '')
end
return 1
