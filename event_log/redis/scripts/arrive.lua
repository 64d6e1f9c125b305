-- Begin a log where there is none; else another history, before the first append to a Redis that was started or promoted
-- since the last one, or that lacks what was given: positions jump, so that none of those is given again.
-- KEYS: head, stream, manifest, head of a former format. ARGV: format and stamp, a random number for the history, the highest
-- position that this process knows of, now or ''. Returns 1, or -5 where the keys are not those of a log of ours.
local told = redis.call('TIME')
local now = ARGV[4] ~= '' and ARGV[4] + 0 or told[1] * 1000000 + told[2]
local mark, position, number, time, from, to = unpack(redis.call('HMGET', KEYS[1],
    'mark', 'position', 'number', 'time', 'from', 'to'))
local tip = ARGV[3] + 0
if mark and string.match(mark, '^%S+') ~= string.match(ARGV[1], '^%S+') then return -5 end
if not mark then
    if redis.call('EXISTS', unpack(KEYS)) > 0 then return -5 end
    mark, position, number, time, from, to = '', 0, 0, now, 0, 0
    redis.call('HSET', KEYS[1], 'mark', ARGV[1] .. ' ' .. ARGV[2], 'position', 0, 'number', 0, 'fence', 0,
        'horizon', '-9e18', 'bytes', 0, 'time', now, 'trial', 0, 'skew', 0, 'from', 0, 'to', 0, 'generation', 0)
    if tip == 0 then return 1 end
end
if tip > position + 0 or string.sub(mark, 1, #ARGV[1]) ~= ARGV[1] then
    -- Where a jump leads tells the time, at more positions a second than any log is given: so one from an old backup leads
    -- beyond what others were given that the backup knows nothing of. Where the clock is no good it is just far.
    local known, told, off = math.max(position, tip), (now - 1767225600000000) * 2 + 1000000000, now - time
    from, to = position, told > known and told < 9007199254740992 and told or known + 1000000000
    redis.call('XADD', KEYS[2], string.format('%.0f-%.0f', to, number + 1), 'j', '')
    redis.call('HSET', KEYS[1], 'mark', ARGV[1] .. ' ' .. ARGV[2], 'position', to, 'number', number + 1,
        'fence', number + 1, 'from', from, 'to', to, 'trial', math.abs(off) > 60000000 and now + 600000000 or 0,
        'skew', off)
end
if tip > from + 0 and tip < to + 0 then redis.call('HSET', KEYS[1], 'lost', from) end
return 1
