-- The seal that a record's checksum bears: see event_log/records.py.
local function sealed(record, position)
    local checksum = struct.unpack('<I4', record)
    local seal = bit.bxor(checksum, position % 4294967296, math.floor(position / 4294967296))
    return struct.pack('<I4', seal) .. string.sub(record, 5)
end
