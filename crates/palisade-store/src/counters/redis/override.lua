-- Sets something for a key, or nothing any more, and tells that it was changed: all or nothing.
--
-- KEYS: the hash of what is set, the mark of changes. ARGV: the field; when it ends, in seconds (0:
-- nothing is set any more); what is set; how many there may be; the new mark.
-- Answer: 1, or 0 if there are too many.
local field, ends, text, most = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
if ends == 0 then
  redis.call('HDEL', KEYS[1], field)
else
  if redis.call('HLEN', KEYS[1]) >= most then
    local now = tonumber(redis.call('TIME')[1])
    local all = redis.call('HGETALL', KEYS[1])
    for place = 1, #all, 2 do
      local ended = tonumber(string.match(all[place + 1], '^(%d+) ') or '0')
      if ended <= now then redis.call('HDEL', KEYS[1], all[place]) end
    end
  end
  if redis.call('HLEN', KEYS[1]) >= most and redis.call('HEXISTS', KEYS[1], field) == 0 then return 0 end
  redis.call('HSET', KEYS[1], field, ARGV[2] .. ' ' .. text)
end
redis.call('SET', KEYS[2], ARGV[5])
return 1
