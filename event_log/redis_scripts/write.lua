#!lua
-- Store a record with all that may come with it: series to register, a keep, a key, a budget. All of it or nothing.
-- KEYS: head, stream, tokens, series, keeps, base, once, budgets.
-- ARGV 1-7: as in append.lua; 8: most series; 9: "<keep> <most keepers>" or "" (9a below); 10: how many new series,
-- 11: how many known ones get the keep; 12: budget "<rate> <burst> <now> <price>" or ""; 13: its name;
-- 14: key of the memo or ""; 15: memo; 16: end of its table; 17: now; then entries of new series, ids of known ones.
-- Returns {code, ...}: {position}, {refused}, {-6}: too many series, {-7}: too many keepers, {-8, events held}: over
-- the budget, {-9, memo}: done before.
--include sealed
local function text(number) return string.format('%.0f', number) end
local head = redis.call('HMGET', KEYS[1], 'stamp', 'stand', 'position', 'bytes', 'fences', 'living', 'horizon')
if head[1] ~= ARGV[1] then return {head[1] and -2 or -5} end
if head[5] and head[5] ~= '' and string.find(head[5], ARGV[2], 1, true) then return {-4} end

-- What is remembered stands in tables that end one after the other; a table whose time has passed is forgotten whole.
local now = tonumber(ARGV[17])
if ARGV[14] ~= '' then
    local ends = redis.call('HKEYS', KEYS[7])
    for _, ending in ipairs(ends) do
        if tonumber(ending) > now then
            local memo = redis.call('HGET', KEYS[7] .. ':' .. ending, ARGV[14])
            if memo then return {-9, memo} end
        end
    end
end
if head[2] ~= ARGV[3] then return {-1} end

local events, fresh, known = tonumber(ARGV[5]), tonumber(ARGV[10]), tonumber(ARGV[11])
local living = head[6] + fresh
if fresh > 0 and living > tonumber(ARGV[8]) then return {-6} end
local keep, keepers = string.match(ARGV[9], '^(%d+) (%-?%d+)$')
local raised, added = {}, keep and fresh or 0
if keep then
    for i = 18 + fresh, 17 + fresh + known do
        local own = redis.call('HGET', KEYS[5], ARGV[i])
        if own ~= keep then raised[#raised + 1] = ARGV[i] end
        if not own then added = added + 1 end
    end
    if keepers ~= '-1' and added > 0 and redis.call('HLEN', KEYS[5]) + added > tonumber(keepers) then return {-7} end
end
local bytes = head[4] + (events > 0 and #ARGV[6] + 20 or 0) + 60 * #raised
for i = 18, 17 + fresh do bytes = bytes + #ARGV[i] + 200 end
if ARGV[14] ~= '' then bytes = bytes + #ARGV[14] + #ARGV[15] + 100 end
if bytes > tonumber(ARGV[7]) then return {-3} end
local level
if ARGV[12] ~= '' then
    local rate, burst, at, price = string.match(ARGV[12], '^(%S+) (%S+) (%S+) (%S+)$')
    burst, at, price = tonumber(burst), tonumber(at), tonumber(price)
    local held, last = string.match(redis.call('HGET', KEYS[8], ARGV[13]) or '', '^(%S+) (%S+)$')
    held, last = tonumber(held or burst), tonumber(last or at)
    if at < last then at = last end
    held = math.min(burst, held + tonumber(rate) * (at - last) / 1000000)
    if price > held then return {-8, string.format('%.17g', held)} end
    level = string.format('%.17g %.0f', held - price, at)
end

-- From here on nothing is refused any more.
if level then redis.call('HSET', KEYS[8], ARGV[13], level) end
local position = tonumber(head[3])
for _, series in ipairs(raised) do
    position = position + 1
    redis.call('XADD', KEYS[2], text(position) .. '-' .. ARGV[4], 'c', 'keep ' .. series .. ' ' .. keep .. ' ' .. head[7])
    redis.call('HSET', KEYS[5], series, keep)
end
if #raised > 0 then redis.call('HSET', KEYS[1], 'changed', text(position)) end
if fresh > 0 then
    local newest, _, ends = string.match(head[2], '^(%-?%d+) (%d*) (%d*)$')
    for i = 18, 17 + fresh do
        newest = newest + 1
        redis.call('HSET', KEYS[4], newest, ARGV[i])
        redis.call('HSET', KEYS[3], newest, ARGV[4])
        if keep then
            redis.call('HSET', KEYS[5], newest, keep)
            redis.call('HSET', KEYS[6], newest, keep)
        end
    end
    redis.call('HSET', KEYS[1], 'living', living, 'stand', newest .. ' ' .. ARGV[4] .. ' ' .. ends)
end
if events > 0 then
    position = position + events
    redis.call('XADD', KEYS[2], text(position) .. '-' .. ARGV[4], 'e', sealed(ARGV[6], position))
end
redis.call('HSET', KEYS[1], 'position', text(position), 'bytes', text(bytes))
if ARGV[14] ~= '' then
    redis.call('HSET', KEYS[7] .. ':' .. ARGV[16], ARGV[14], text(position) .. ' ' .. ARGV[4] .. ' ' .. ARGV[15])
    if redis.call('HINCRBY', KEYS[7], ARGV[16], #ARGV[14] + #ARGV[15] + 100) == #ARGV[14] + #ARGV[15] + 100 then
        redis.call('PEXPIRE', KEYS[7] .. ':' .. ARGV[16], text(math.ceil((ARGV[16] - now) / 1000)))
    end
end
return {position}
