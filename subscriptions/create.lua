-- create stores a subscription and makes it a member of its sets, unless its
-- user has as many as are allowed. A repetition of the same create, which a
-- lost answer may cause, changes nothing.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  id
-- ARGV[2]  user
-- ARGV[3]  event
-- ARGV[4]  format
-- ARGV[5]  target URL
-- ARGV[6]  active, '1' or '0'
-- ARGV[7]  secret
-- ARGV[8]  how many subscriptions the user may have
-- ARGV[9]  offset of the clock in ms
-- result   when it was created, in ms; 0 where the user has too many

local id, user, event, active = ARGV[1], ARGV[2], ARGV[3], ARGV[6]

local created = redis.call('HGET', subscription_key(id), 'created_at')
if created then return tonumber(created) end

local own = lane .. 'subscriptions:' .. user
if redis.call('SCARD', own) >= tonumber(ARGV[8]) then return 0 end

local at = now(ARGV[9])
local stamp = string.format('%.0f', at)
redis.call('HSET', subscription_key(id), 'id', id, 'user', user, 'event', event, 'format', ARGV[4],
  'target_url', ARGV[5], 'active', active, 'secret', ARGV[7], 'created_at', stamp, 'updated_at', stamp,
  'inactive_reason', active == '1' and '' or 'owner')
redis.call('SADD', own, id)
redis.call('SADD', lane .. 'subscribers:' .. event .. ':' .. user, id)
return at
