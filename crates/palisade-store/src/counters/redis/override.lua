-- Sets parts of what is set for a key, or takes them back, and tells that it was changed: all or nothing.
--
-- KEYS: the hash of what is set, the mark of changes. ARGV: how many parts there may be, the new mark,
-- then for each part its field; when it ends, in seconds (0: it is taken back); what is set.
-- Answer: 1, or 0 if there are too many.
local most, new = tonumber(ARGV[1]), 0
for place = 3, #ARGV, 3 do
  if ARGV[place + 1] ~= '0' then new = new + 1 - redis.call('HEXISTS', KEYS[1], ARGV[place]) end
end
if new > 0 and redis.call('HLEN', KEYS[1]) + new > most then
  local now = tonumber(redis.call('TIME')[1])
  local all = redis.call('HGETALL', KEYS[1])
  for place = 1, #all, 2 do
    local ends = tonumber(string.match(all[place + 1], '^(%d+) ') or '0')
    if ends <= now then redis.call('HDEL', KEYS[1], all[place]) end
  end
  if redis.call('HLEN', KEYS[1]) + new > most then return 0 end
end
for place = 3, #ARGV, 3 do
  if ARGV[place + 1] == '0' then
    redis.call('HDEL', KEYS[1], ARGV[place])
  else
    redis.call('HSET', KEYS[1], ARGV[place], ARGV[place + 1] .. ' ' .. ARGV[place + 2])
  end
end
redis.call('SET', KEYS[2], ARGV[2])
return 1
