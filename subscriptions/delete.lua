-- delete ends a subscription at once, and leaves its deliveries to be let go
-- of in parts: they may be many.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  id
-- ARGV[2]  user, or '' for whoever owns it
-- result   1, or 0 where the user has no such subscription

local id, asked = ARGV[1], ARGV[2]
local found = redis.call('HMGET', subscription_key(id), 'user', 'event')
local user = found[1]
if not user or (asked ~= '' and asked ~= user) then return 0 end

redis.call('SREM', lane .. 'subscribers:' .. found[2] .. ':' .. user, id)
redis.call('SREM', lane .. 'subscriptions:' .. user, id)
redis.call('DEL', subscription_key(id))
redis.call('ZREM', lane .. 'runnable', id)
redis.call('ZREM', lane .. 'waiting', id)
redis.call('SADD', lane .. 'purge', id)
wake()
return 1
