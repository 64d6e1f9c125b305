-- The log's time: that of Redis, but never less than it was. After a start or a promotion with a gap of more than a
-- minute it goes on from where it was (`skew` behind that clock), and follows the clock after ten minutes of trial.
-- KEYS: head. ARGV: now or ''.
local head = redis.call('HMGET', KEYS[1], 'time', 'trial', 'skew')
if not head[1] then return -1 end
local now = tonumber(ARGV[1])
if not now then
    local told = redis.call('TIME')
    now = told[1] * 1000000 + told[2]
end
if head[2] ~= '' and now - head[2] < 600000000 then now = now - head[3] end
return math.max(tonumber(head[1]), now)
