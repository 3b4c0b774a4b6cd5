-- expire lets go of dead letters that were kept long enough, a bounded part at a
-- time.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock, ms
-- ARGV[2]  dead letters and subscriptions after which to stop
-- ARGV[3]  ms for which a dead letter is kept
-- result   dead letters let go

local at, left, retain = now(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local retained, gone = lane .. 'retained', 0

while left > 0 do
  local oldest = call('ZRANGE', retained, 0, 0, 'WITHSCORES')
  local id = oldest[1]
  if not id or tonumber(oldest[2]) + retain > at then break end
  local events = call('ZRANGEBYSCORE', dead_key(id), '-inf', at - retain, 'LIMIT', 0, left)
  for _, event in ipairs(events) do
    call('ZREM', dead_key(id), event)
    forget(id, event)
    release(event)
  end
  if exists(id) and #events > 0 then call('HINCRBY', subscription_key(id), 'expired', #events) end
  local next = call('ZRANGE', dead_key(id), 0, 0, 'WITHSCORES')
  if next[1] then
    call('ZADD', retained, next[2], id)
  else
    call('ZREM', retained, id)
  end
  gone, left = gone + #events, left - #events - 1
end
return gone
