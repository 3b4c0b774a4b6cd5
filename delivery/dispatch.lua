-- dispatch takes events off the right end of the list and makes one delivery
-- for each subscription that wants them.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock, ms
-- ARGV[2]  events, ARGV[3] deliveries, ARGV[4] bytes after which to stop
-- ARGV[5]  deliveries an inactive subscription keeps
-- ARGV[6]  seconds for which an event is known as dispatched
-- result   {events taken, deliveries made, duplicates, parked, dropped, events left}
--
-- Redis does not roll a script back. So an event is popped last, and every step
-- before that can be done twice: a delivery that stands already is not made again.
--
-- It leaves a wake token only for events that remain. Whoever dispatches claims
-- next, and claim leaves one for what it does not take; a token for every event
-- would wake a second process for nothing. Should the process die in between,
-- the next look of any other finds the work in runnable.

local HEADER_LIMIT, TRIM_LIMIT = 65536, 100

local at = now(ARGV[1])
local max_events, max_deliveries, max_bytes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local max_backlog, seen_for = tonumber(ARGV[5]), ARGV[6]
-- A table, since after an error caught by pcall miniredis' Lua no longer shares
-- locals between this chunk and its functions.
local count = { taken = 0, bytes = 0, made = 0, duplicates = 0, parked = 0, dropped = 0 }
local placed = {}

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

-- trim lets an inactive subscription's oldest deliveries go. What has failed
-- before is older than what was never tried.
local function trim(id)
  local over = redis.call('ZCARD', queue_key(id)) + redis.call('ZCARD', retry_key(id)) - max_backlog
  local gone = 0
  for _, key in ipairs({ retry_key(id), queue_key(id) }) do
    local most = math.min(over, TRIM_LIMIT) - gone
    local popped = most > 0 and redis.call('ZPOPMIN', key, most) or {}
    for i = 1, #popped, 2 do
      release(popped[i])
      redis.call('HDEL', tries_key(id), popped[i])
      gone = gone + 1
    end
  end
  if gone > 0 then redis.call('HINCRBY', subscription_key(id), 'dropped', gone) end
  count.dropped = count.dropped + gone
end

-- deliver makes the delivery of an event to a subscription, unless an earlier
-- run that broke off has made it.
local function deliver(id, event, active)
  if not (redis.call('ZSCORE', queue_key(id), event) or redis.call('ZSCORE', retry_key(id), event)) then
    local sequence = redis.call('HINCRBY', subscription_key(id), 'seq', 1)
    redis.call('HINCRBY', event_key(event), 'refs', 1)
    redis.call('ZADD', queue_key(id), sequence, event)
    count.made = count.made + 1
  end
  if not active then
    trim(id)
  elseif not placed[id] then
    placed[id] = place(id, at)
  end
end

-- dispatch answers whether the event could be routed.
local function dispatch(element)
  local h, head, payload_at = read(element)
  if not h then return false end
  if redis.call('EXISTS', lane .. 'seen:' .. h.id) == 1 then
    count.duplicates = count.duplicates + 1
    return true
  end
  local noun = string.match(h.event, '^[^.]+')
  local sets = {}
  for i, name in ipairs({ h.event, noun .. '.*', '*' }) do
    sets[i] = lane .. 'subscribers:' .. name .. ':' .. h.user
  end
  local stored = false
  for _, id in ipairs(redis.call('SUNION', sets[1], sets[2], sets[3])) do
    local active = redis.call('HGET', subscription_key(id), 'active')
    if not active then
      for _, set in ipairs(sets) do redis.call('SREM', set, id) end
    else
      if not stored then
        redis.call('HSET', event_key(h.id), 'header', head, 'payload', string.sub(element, payload_at))
        stored = true
      end
      deliver(id, h.id, active == '1')
    end
  end
  redis.call('SET', lane .. 'seen:' .. h.id, '1', 'EX', seen_for)
  return true
end

while count.taken < max_events and count.made < max_deliveries and count.bytes < max_bytes do
  local element = redis.call('LINDEX', lane .. 'events', -1)
  if not element then break end
  -- One element that cannot be dispatched, for whatever reason, must not wedge
  -- the lane. Where Redis takes no writes at all, parking fails too and the
  -- script ends with the event still on the list.
  local ok, routed = pcall(dispatch, element)
  if not (ok and routed) then
    redis.call('LPUSH', lane .. 'parked', element)
    count.parked = count.parked + 1
  end
  redis.call('RPOP', lane .. 'events')
  count.taken = count.taken + 1
  count.bytes = count.bytes + #element
end

local left = redis.call('LLEN', lane .. 'events')
if left > 0 then wake() end
return { count.taken, count.made, count.duplicates, count.parked, count.dropped, left }
