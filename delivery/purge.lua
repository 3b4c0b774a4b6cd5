-- purge lets go of what deleted subscriptions left behind, a bounded part at a
-- time. Deliveries in flight are not among it: their finish, or the lapse of
-- their lease, finds the subscription gone and lets go of them.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock, as all scripts have it; not used
-- ARGV[2]  deliveries and subscriptions after which to stop
-- result   {deliveries let go, deleted subscriptions left}

local purge = lane .. 'purge'
local left, gone = tonumber(ARGV[2]), 0

while left > 0 do
  local id = call('SRANDMEMBER', purge)
  if not id then break end
  for _, key in ipairs({ queue_key(id), blocked_key(id), riders_key(id), retry_key(id), dead_key(id) }) do
    local members = left > 0 and call('ZRANGE', key, 0, left - 1) or {}
    for _, event in ipairs(members) do
      call('ZREM', key, event)
      forget(id, event)
      release(event)
    end
    left, gone = left - #members, gone + #members
  end
  local windows = left > 0 and call('ZRANGE', windows_key(id), 0, left - 1) or {}
  for _, window in ipairs(windows) do
    local event = close(id, window)
    if event then release(event) end
  end
  left, gone = left - #windows, gone + #windows
  -- Lines hold nothing that was not blocked; each has a head.
  local heads = left > 0 and call('HSCAN', heads_key(id), 0, 'COUNT', 500)[2] or {}
  for i = 1, #heads, 2 do
    if string.sub(heads[i], 1, 2) == 'r:' then call('DEL', line_key(id, string.sub(heads[i], 3))) end
    call('HDEL', heads_key(id), heads[i])
  end
  left = left - #heads
  if left > 0 and call('EXISTS', heads_key(id)) == 0 then
    call('DEL', batches_key(id), riding_key(id), marks_key(id))
    call('DEL', tries_key(id), lane .. 'attempts:' .. id, lane .. 'redeliveries:' .. id)
    call('ZREM', lane .. 'runnable', id)
    call('ZREM', lane .. 'waiting', id)
    call('ZREM', lane .. 'retained', id)
    call('SREM', purge, id)
    left = left - 1
  end
end
return { gone, call('SCARD', purge) }
