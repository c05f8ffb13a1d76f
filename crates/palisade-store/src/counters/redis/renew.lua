-- Lengthens the life of slots that are in use.
--
-- KEYS: a set of slots for each of the tickets in ARGV, behind the life in ms and the number of units
-- that each has at most.
local time = redis.call('TIME')
local life = tonumber(ARGV[1])
local ends = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + life)
for place, key in ipairs(KEYS) do
  redis.call('ZADD', key, 'XX', ends, ARGV[place + 1])
  redis.call('PEXPIRE', key, string.format('%.0f', life + 1000))
end
return #KEYS
