-- Tells that this gateway is there, how many are, and which change of overrides was the last.
--
-- KEYS: the set of gateways, the mark of changes. ARGV: this one, ms after which one that is silent is gone.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now_ms - ARGV[2]))
redis.call('ZADD', KEYS[1], string.format('%.0f', now_ms), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return { redis.call('ZCARD', KEYS[1]), redis.call('GET', KEYS[2]) or '' }
