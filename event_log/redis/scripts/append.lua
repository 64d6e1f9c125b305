-- Append an entry with the records of all who gathered, or, with no record, only write something that WAIT can wait for.
-- KEYS: head, stream. ARGV: mark, what the writers know, their oldest event, limit of bytes, positions taken, how many
-- records, the records; where one needs the log's time also: 1 for a fence or 0, moment or '', span, now or ''.
-- Returns the entry's id, or what was refused, below zero (see scripts/__init__.py).
local mark, fence, horizon, bytes, position, number = unpack(redis.call('HMGET', KEYS[1],
    'mark', 'fence', 'horizon', 'bytes', 'position', 'number'))
if mark ~= ARGV[1] then return -2 end
if ARGV[6] == '0' then return redis.call('HINCRBY', KEYS[1], 'affirmed', 1) end
if ARGV[2] - fence < 0 or ARGV[3] - horizon <= 0 then return -4 end
bytes = bytes + #ARGV[7] + 15
if bytes > ARGV[4] + 0 then return -3 end
position, number = position + ARGV[5], number + ARGV[6]
local id = string.format('%.0f-%.0f', position, number)
redis.call('HSET', KEYS[1], 'position', position, 'number', number, 'bytes', bytes)
if not ARGV[8] then return redis.call('XADD', KEYS[2], id, 'r', ARGV[7]) end
-- The log's time is that of Redis, but never less than it was; for a while after a leap it goes on from where it was.
local time, trial, skew = unpack(redis.call('HMGET', KEYS[1], 'time', 'trial', 'skew'))
local told = redis.call('TIME')
local now = ARGV[11] ~= '' and ARGV[11] + 0 or told[1] * 1000000 + told[2]
now = math.max(time, now < trial + 0 and now - skew or now)
redis.call('HSET', KEYS[1], 'time', now, 'fence', ARGV[8] == '1' and number or fence)
if ARGV[9] ~= '' then
    redis.call('HSET', KEYS[1], 'horizon', math.max(horizon, math.min(ARGV[9], now) - ARGV[10]))
end
return redis.call('XADD', KEYS[2], id, 'r', ARGV[7], 't', now)
