-- update writes what its owner may change of a subscription. A change of event
-- moves it from set to set. Only a change of active touches its failure state
-- and its place among those with work: an owner who edits a subscription that
-- fails has not repaired it, and one who edits one that is inactive by failure
-- has not paused it.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  id
-- ARGV[2]  user
-- ARGV[3]  event
-- ARGV[4]  format
-- ARGV[5]  target URL
-- ARGV[6]  active, '1' or '0'
-- ARGV[7]  offset of the clock in ms
-- result   when it was updated, in ms; 0 where the user has no such subscription

local id, user, event, active = ARGV[1], ARGV[2], ARGV[3], ARGV[6]
local key = subscription_key(id)

local before = redis.call('HMGET', key, 'user', 'event', 'active', 'created_at')
if not before[1] or before[1] ~= user then return 0 end

local clock = now(ARGV[7])
local at = math.max(clock, tonumber(before[4])) -- a clock set back must not show
redis.call('HSET', key, 'event', event, 'format', ARGV[4], 'target_url', ARGV[5], 'active', active,
  'updated_at', string.format('%.0f', at))

if event ~= before[2] then
  redis.call('SREM', lane .. 'subscribers:' .. before[2] .. ':' .. user, id)
  redis.call('SADD', lane .. 'subscribers:' .. event .. ':' .. user, id)
end

if active ~= before[3] then
  if active == '1' then
    redis.call('HSET', key, 'inactive_reason', '')
    redis.call('HDEL', key, 'failing_since', 'failures')
  else
    redis.call('HSET', key, 'inactive_reason', 'owner')
  end
  if place(id, clock) then wake() end
end
return at
