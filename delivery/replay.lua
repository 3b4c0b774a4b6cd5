-- replay returns dead letters of a subscription to its queue, oldest first,
-- each at the place it had there and with all its attempts before it.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock, ms
-- ARGV[2]  subscription
-- ARGV[3]  most to return
-- result   {returned, dead letters left}

local at, id = now(ARGV[1]), ARGV[2]
if not exists(id) then return { 0, 0 } end

local returned = redis.call('ZRANGE', dead_key(id), 0, tonumber(ARGV[3]) - 1)
for _, event in ipairs(returned) do
  local _, sequence = recall(id, event)
  sequence = sequence or redis.call('HINCRBY', subscription_key(id), 'seq', 1)
  redis.call('ZREM', dead_key(id), event)
  forget(id, event)
  hold(queue_key(id), sequence, event)
end
if redis.call('EXISTS', dead_key(id)) == 0 then redis.call('ZREM', lane .. 'retained', id) end
if place(id, at) then wake() end
return { #returned, redis.call('ZCARD', dead_key(id)) }
