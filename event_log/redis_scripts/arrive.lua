#!lua
-- Before the first write to a Redis that was started or promoted since the last one: jump, so that no position that
-- may have been given there before, and lost, is given again.
-- KEYS: head. ARGV: highest position known to this process, how far to jump.
-- The stamp is looked up here (see Session.stamp): a connection that has outlived a demotion and a promotion knows an
-- older one, and to jump for that again and again would be to have no history at all.
-- Where a jump leads tells the time, at more positions a second than any log is given: so that one from an old backup
-- does not lead to where others led that the backup knows nothing of. Where the clock is no good, or this user may not
-- ask for it, it is just far.
local function beyond(position, jump)
    local now = redis.pcall('TIME')
    local told = now.err and 0 or (now[1] - 1767225600) * 2097152 + math.floor(now[2] * 2.097152)
    if told <= 0 or told > 4503599627370496 or told + jump <= position then return position + jump end
    return told + jump
end
local run = string.match(redis.call('INFO', 'server'), '\nrun_id:(%w+)') or ''
local history = string.match(redis.call('INFO', 'replication'), '\nmaster_replid:(%w+)') or ''
local stamp = string.sub(redis.sha1hex(run .. history), 1, 12)
local head = redis.call('HMGET', KEYS[1], 'stamp', 'position', 'jumps')
if not head[1] then return -5 end
if head[1] == stamp then return 0 end
local to = string.format('%.0f', beyond(math.max(tonumber(head[2]), tonumber(ARGV[1])), tonumber(ARGV[2])))
local jumps = {}
for jump in string.gmatch(head[3] .. ' ' .. head[2] .. ':' .. to, '%S+') do jumps[#jumps + 1] = jump end
local recent = table.concat(jumps, ' ', math.max(1, #jumps - 255))
redis.call('HSET', KEYS[1], 'stamp', stamp, 'position', to, 'jumps', recent, 'fences', '')
-- A position that was given, to this process or to one it has read of, and is not there: something was lost.
if tonumber(ARGV[1]) > tonumber(head[2]) then redis.call('HSET', KEYS[1], 'lost', head[2]) end
return 1
