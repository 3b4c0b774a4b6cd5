-- dispatch takes events off the right end of the list and makes one delivery
-- for each subscription that wants them.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock, ms
-- ARGV[2]  events, ARGV[3] deliveries, ARGV[4] bytes after which to stop
-- ARGV[5]  deliveries an inactive subscription keeps, ARGV[6] an active one
-- result   {events taken, deliveries made, duplicates, parked, dropped of
--           inactive subscriptions, events left, dropped of active ones}
--
-- Redis does not roll a script back. So an event is popped last, and every step
-- before that can be done twice: a delivery that stands already is not made again.
--
-- It leaves a wake token only for events that remain. Whoever dispatches claims
-- next, and claim leaves one for what it does not take; a token for every event
-- would wake a second process for nothing. Should the process die in between,
-- the next look of any other finds the work in runnable.

-- LOOK is how many elements are read at once; a megabyte each, at worst.
local HEADER_LIMIT, LOOK = 65536, 16
-- How many deliveries are let go at once: of an inactive subscription with each new
-- one, of an active one after all.
local TRIM_INACTIVE, TRIM_ACTIVE = 100, 1000

local at = now(ARGV[1])
local max_events, max_deliveries, max_bytes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local max_backlog, max_queued = tonumber(ARGV[5]), tonumber(ARGV[6])
-- Tables, since after an error caught by pcall miniredis' Lua no longer shares
-- locals between this chunk and its functions.
local count = { taken = 0, done = 0, bytes = 0, made = 0, duplicates = 0, parked = 0, dropped = 0, overflowed = 0 }
local placed = {}
-- active tells of each subscription met: true, false, or nil for one that is
-- gone; sequences are the last numbers given to their deliveries, unwritten yet.
local active, sequences, numbered = {}, {}, {}
-- unused counts shares written for deliveries not yet made, per event.
local unused = {}

-- read answers the header of an element, decoded and as written, and where the
-- payload begins; or nil for what cannot be routed.
local function read(element)
  local stop = string.find(element, '\n', 1, true)
  if not stop or stop > HEADER_LIMIT then return nil end
  local head = string.sub(element, 1, stop - 1)
  local ok, h = pcall(cjson.decode, head)
  if not ok or type(h) ~= 'table' then return nil end
  for _, field in ipairs({ 'id', 'event', 'user' }) do
    if type(h[field]) ~= 'string' or h[field] == '' then return nil end
  end
  -- Both become parts of keys and of lease members, whose separators they must not hold.
  if not string.find(h.id, '^[%w%-_.]+$') or not string.find(h.event, '^[%w%-_.]+$') then return nil end
  if h.parked ~= nil and h.parked ~= '' then return nil end
  return h, head, stop + 1
end

-- trim lets a subscription's oldest deliveries go, beyond so many. What has
-- failed before is older than what was never tried. Answers how many went.
local function trim(id, most_kept, limit)
  local over = redis.call('ZCARD', queue_key(id)) + redis.call('ZCARD', retry_key(id)) - most_kept
  local gone = 0
  for _, key in ipairs({ retry_key(id), queue_key(id) }) do
    local most = math.min(over, limit) - gone
    local popped = most > 0 and redis.call('ZPOPMIN', key, most) or {}
    for i = 1, #popped, 2 do
      release(popped[i])
      forget(id, popped[i])
      gone = gone + 1
    end
  end
  if gone > 0 then redis.call('HINCRBY', subscription_key(id), 'dropped', gone) end
  return gone
end

-- place_once places an active subscription once a call; it then stands where it
-- belongs, whatever else this call adds to its queue.
local function place_once(id)
  if not placed[id] then
    place(id, at)
    placed[id] = true
  end
end

-- missing tells whether an earlier run, which broke off, left a delivery unmade.
local function missing(id, event)
  return not (redis.call('ZSCORE', queue_key(id), event) or redis.call('ZSCORE', retry_key(id), event))
end

-- deliver makes the delivery of an event to a subscription.
local function deliver(id, event)
  sequences[id] = sequences[id] + 1
  redis.call('ZADD', queue_key(id), sequences[id], event)
  count.made = count.made + 1
  if active[id] then place_once(id) else count.dropped = count.dropped + trim(id, max_backlog, TRIM_INACTIVE) end
end

-- wanting answers the subscriptions that want an event, and cleans the sets of
-- those that are gone.
local function wanting(h)
  local sets, ids = {}, {}
  for i, name in ipairs({ h.event, string.match(h.event, '^[^.]+') .. '.*', '*' }) do
    sets[i] = lane .. 'subscribers:' .. name .. ':' .. h.user
  end
  for _, id in ipairs(redis.call('SUNION', sets[1], sets[2], sets[3])) do
    if active[id] == nil then
      local state = redis.call('HMGET', subscription_key(id), 'active', 'seq')
      if state[1] then active[id], sequences[id] = state[1] == '1', tonumber(state[2] or 0) end
      numbered[id] = sequences[id]
    end
    if active[id] == nil then
      for _, set in ipairs(sets) do redis.call('SREM', set, id) end
    else
      ids[#ids + 1] = id
    end
  end
  return ids
end

-- fan_out makes the deliveries of an event. The event's shares are written
-- before them, so that none is ever freed under a delivery; what a run that
-- breaks off has counted too much, amend takes back.
local function fan_out(h, head, payload, ids, fresh)
  local key = event_key(h.id)
  if fresh then
    redis.call('HSET', key, 'header', head, 'payload', payload, 'refs', #ids, 'whole', '1')
    unused[h.id] = #ids -- after it: where that write was refused, there is nothing to amend
  end
  for _, id in ipairs(ids) do
    if fresh then
      deliver(id, h.id)
      unused[h.id] = unused[h.id] - 1
    elseif missing(id, h.id) then
      redis.call('HINCRBY', key, 'refs', 1)
      deliver(id, h.id)
    else
      place_once(id)
    end
  end
  if not fresh then redis.call('HSET', key, 'whole', '1') end
end

-- amend takes back the shares of deliveries that were not made, and notes that
-- the event is not whole: should it come again, the rest is made.
local function amend()
  for event, shares in pairs(unused) do
    redis.call('HDEL', event_key(event), 'whole')
    if shares > 0 and redis.call('HINCRBY', event_key(event), 'refs', -shares) <= 0 then
      redis.call('DEL', event_key(event))
    end
    unused[event] = nil
  end
end

-- dispatch answers whether the event could be routed.
local function dispatch(element)
  local h, head, payload_at = read(element)
  if not h then return false end
  local stored = redis.call('HMGET', event_key(h.id), 'whole', 'refs')
  if stored[1] or redis.call('EXISTS', lane .. 'seen:' .. h.id) == 1 then
    count.duplicates = count.duplicates + 1
    return true
  end
  local ids = wanting(h)
  if #ids == 0 then
    seen(h.id)
  else
    fan_out(h, head, string.sub(element, payload_at), ids, not stored[2])
    unused[h.id] = nil
  end
  return true
end

local function more()
  return count.taken < max_events and count.made < max_deliveries and count.bytes < max_bytes
end

-- pop writes the sequences down, and takes from the list what is dealt with.
local function pop()
  for id, last in pairs(sequences) do
    if numbered[id] ~= last then redis.call('HSET', subscription_key(id), 'seq', last) end
    numbered[id] = last
  end
  if count.done > 0 then redis.call('RPOP', lane .. 'events', count.done) end
  count.done = 0
end

while more() do
  local elements = redis.call('LRANGE', lane .. 'events', -LOOK, -1)
  if #elements == 0 then break end
  for i = #elements, 1, -1 do
    if not more() then break end
    -- One element that cannot be dispatched, for whatever reason, must not wedge
    -- the lane. Where Redis takes no writes at all, parking fails too and the
    -- script ends with the event still on the list.
    local ok, routed = pcall(dispatch, elements[i])
    if not (ok and routed) then
      amend()
      pop()
      redis.call('LPUSH', lane .. 'parked', elements[i])
      count.parked = count.parked + 1
    end
    count.done = count.done + 1
    count.taken = count.taken + 1
    count.bytes = count.bytes + #elements[i]
  end
  pop()
end

-- Once a call will do for those: a call adds no more than it may trim.
for id in pairs(placed) do count.overflowed = count.overflowed + trim(id, max_queued, TRIM_ACTIVE) end
local left = redis.call('LLEN', lane .. 'events')
if left > 0 then wake() end
return { count.taken, count.made, count.duplicates, count.parked, count.dropped, left, count.overflowed }
