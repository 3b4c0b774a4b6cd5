-- dispatch takes events off the right end of the list and makes one delivery
-- for each subscription that wants them.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock, ms
-- ARGV[2]  events, ARGV[3] deliveries, ARGV[4] bytes after which to stop
-- ARGV[5]  deliveries an inactive subscription keeps, ARGV[6] an active one
-- ARGV[7]  bytes an inactive subscription keeps
-- result   {events taken, deliveries made, duplicates, parked, dropped of
--           inactive subscriptions, events left, dropped of active ones, replaced}
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
-- SAMPLE_LIMIT is how long an event may be that is kept as a sample.
local SAMPLE_LIMIT = 16384
-- How many deliveries are let go at once: of an inactive subscription with each new
-- one, of an active one after all.
local TRIM_INACTIVE, TRIM_ACTIVE, EVERY = 100, 1000, 100

local at = now(ARGV[1])
local max_events, max_deliveries, max_bytes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local max_backlog, max_queued, max_kept = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
-- Tables, since after an error caught by pcall miniredis' Lua no longer shares
-- locals between this chunk and its functions.
local count = { taken = 0, done = 0, bytes = 0, made = 0, duplicates = 0, parked = 0, dropped = 0, overflowed = 0, replaced = 0 }
-- That none has ever broken off, as is usual, is asked once a call.
count.broken = call('EXISTS', broken) == 1
local placed = {}
-- turns are those of them that get a turn in runnable when their events are popped.
local turns = {}
-- known is what is asked beforehand of the events read: false for one not stored
-- and not seen, until it is dealt with.
local known = {}
-- subscriptions are those met: false for one that is gone, else whether it is
-- active, the last sequence given to its deliveries, and the bytes that wait for
-- it; these are written at the end, of those that have changed.
local subscriptions, changed = {}, {}
-- wanted_by are those that want an event, by its name and user.
local wanted_by = {}
-- unused counts shares written for deliveries not yet made, and made lists the
-- subscriptions that have theirs, per event.
local unused, made = {}, {}
-- sampling is how many samples each user met wants kept.
local sampling = {}

-- read answers the header of an element, and where the payload begins; or nil for
-- what cannot be routed.
local function read(element)
  local stop = string.find(element, '\n', 1, true)
  if not stop or stop > HEADER_LIMIT then return nil end
  local head = string.sub(element, 1, stop - 1)
  local ok, h = pcall(cjson.decode, head)
  if not ok or type(h) ~= 'table' then return nil end
  if type(h.id) ~= 'string' or type(h.event) ~= 'string' or type(h.user) ~= 'string' or h.user == '' then return nil end
  -- Both become parts of keys and of lease members, whose separators they must not hold.
  if not string.find(h.id, '^[%w%-_.]+$') or not string.find(h.event, '^[%w%-_.]+$') then return nil end
  if h.parked ~= nil and h.parked ~= '' then return nil end
  return h, stop + 1
end

-- trim lets a subscription's oldest deliveries go, beyond so many or so many
-- bytes. What has failed before is older than what was never tried. Answers how
-- many went.
local function trim(s, most_kept, most_bytes, limit)
  local over = call('ZCARD', queue_key(s.id)) + call('ZCARD', retry_key(s.id)) - most_kept
  if s.lines then over = over + call('ZCARD', blocked_key(s.id)) end
  if s.windows then over = over + call('ZCARD', windows_key(s.id)) end
  if s.batches then -- but for those that may be in flight
    local flying = (s.batch_max or 1000) * tonumber(call('HGET', lane .. 'inflight', s.id) or 0)
    over = over + math.max(0, call('ZCARD', riders_key(s.id)) - flying)
  end
  local gone = 0
  for _, key in ipairs({ retry_key(s.id), queue_key(s.id) }) do
    while gone < limit and (gone < over or s.bytes > most_bytes) do
      local event = call('ZPOPMIN', key)[1]
      if not event then break end
      s.bytes = s.bytes - weight(event)
      release(event)
      forget(s.id, event)
      if s.batches then scatter(s.id, event, at) end
      if s.lines then advance(s.id, event, at) end
      gone = gone + 1
    end
  end
  while s.windows and gone < limit and (gone < over or s.bytes > most_bytes) do
    local window = call('ZRANGE', windows_key(s.id), 0, 0)[1]
    local event = window and close(s.id, window)
    if not event then break end
    s.bytes = s.bytes - weight(event)
    release(event)
    gone = gone + 1
  end
  if gone > 0 then call('HINCRBY', subscription_key(s.id), 'dropped', gone) end
  return gone
end

-- place_once places an active subscription with the first delivery of a call, and
-- with the first that is queued; it then stands where it belongs, whatever else this
-- call adds to its queue. Of one that has something there and does not rest it is
-- known where that is.
local function place_once(id, queued)
  if placed[id] == 'queued' or placed[id] and not queued then return end
  local s = subscriptions[id]
  if queued and s.resume_at <= at and not (s.windows or s.batch_max) then turns[#turns + 1] = id else place(id, at) end
  placed[id] = queued and 'queued' or 'met'
end

local function change(s)
  if not s.changed then changed[#changed + 1], s.changed = s, true end
end

-- debounce has an event wait for a later one, which takes its place. Answers false
-- where it is about nothing, and so has no later one.
local function debounce(s, event, name, resource)
  if not (s.debounce and resource) then return false end
  local window = resource .. ':' .. name
  local ends = call('ZSCORE', windows_key(s.id), window)
  if ends and tonumber(ends) <= at then -- one of more than meet has ripened
    s.seq, ends = ripen(s.id, { window }, s.seq, s.by_resource), nil
  end
  if ends then
    local before = call('HGET', latest_key(s.id), window)
    call('HSET', latest_key(s.id), window, event)
    s.bytes = s.bytes - weight(before)
    release(before)
    s.replaced, count.replaced = s.replaced + 1, count.replaced + 1
    return true
  end
  if not s.windows then call('HSET', subscription_key(s.id), 'windows', '1') end
  s.windows = true
  call('HSET', latest_key(s.id), window, event)
  call('ZADD', windows_key(s.id), at + s.debounce, window)
  return true
end

-- deliver makes the delivery of an event to a subscription.
local function deliver(id, event, name, size, resource)
  local s, queued = subscriptions[id], false
  if not debounce(s, event, name, resource) then
    queued = not (s.by_resource and line_up(id, event, s.seq + 1, resource))
    if queued then call('ZADD', queue_key(id), digits(s.seq + 1), event) end
    s.seq = s.seq + 1
  end
  s.bytes = s.bytes + size
  change(s)
  count.made = count.made + 1
  if s.active then place_once(id, queued) else count.dropped = count.dropped + trim(s, max_backlog, max_kept, TRIM_INACTIVE) end
end

-- meet reads what dispatch must know of a subscription, once a call.
local function meet(id)
  if subscriptions[id] ~= nil then return subscriptions[id] end
  local state = call('HMGET', subscription_key(id), 'active', 'seq', 'bytes', 'ordered', 'lines', 'skinny', 'debounce', 'windows',
    'batch_max', 'batches', 'resume_at')
  local s = state[1] and { id = id, active = state[1] == '1', seq = tonumber(state[2] or 0),
    bytes = math.max(tonumber(state[3] or 0), 0), by_resource = state[4] == 'resource', lines = state[5] or state[4] == 'resource',
    skinny = state[6] == '1', debounce = tonumber(state[7] or ''), windows = state[8], replaced = 0,
    batch_max = tonumber(state[9] or ''), batches = state[10], marked = tonumber(state[2] or 0),
    first = tonumber(state[2] or 0), resume_at = tonumber(state[11] or '') or 0 }
  -- What has waited long enough comes before what is new.
  if s and s.windows then
    local last = ripen(id, ended(id, at), s.seq, s.by_resource)
    if last > s.seq then change(s) end
    s.seq = last
  end
  subscriptions[id] = s
  return s
end

-- wanting answers the subscriptions that want an event, and cleans the sets of
-- those that are gone.
local function wanting(h)
  local kind = h.event .. '\n' .. h.user
  if wanted_by[kind] then return wanted_by[kind] end
  local function set(name) return lane .. 'subscribers:' .. name .. ':' .. h.user end
  local sets, ids = { set(h.event), set(string.match(h.event, '^[^.]+') .. '.*'), set('*') }, {}
  for _, id in ipairs(call('SUNION', unpack(sets))) do
    if meet(id) then
      ids[#ids + 1] = id
    else
      for _, key in ipairs(sets) do call('SREM', key, id) end
    end
  end
  wanted_by[kind] = ids
  return ids
end

-- compact answers a header as it is stored; see DecodeStored in events. What is
-- known otherwise, the id and the user, is left out, and the URL where nobody's
-- deliveries are skinny. (Not every cjson has a null.)
local function compact(h, with_url)
  local fields = { h.event, h.resource or '', h.at or 0, h.rule or '', h.omitted or '' }
  local redacted, url = type(h.redacted) == 'table' and #h.redacted > 0, with_url and type(h.url) == 'string' and h.url or ''
  if redacted then fields[6] = h.redacted end
  if url ~= '' then
    return string.sub(cjson.encode(fields), 1, -2) .. (redacted and ',' or ',null,') .. cjson.encode(url) .. ']'
  end
  while not redacted and #fields > 1 and fields[#fields] == '' do fields[#fields] = nil end
  return cjson.encode(fields)
end

-- keep stores an event with its shares, more of them where it may be stored
-- already. Answers its size.
local function keep(h, payload, count, again, with_url)
  local element, refs = compact(h, with_url) .. '\n' .. payload, 0
  if again and call('HEXISTS', stored, h.id) == 1 then
    refs = tonumber(call('HGET', shares, h.id) or 1)
  else
    call('HSET', stored, h.id, element)
  end
  if refs + count ~= 1 then call('HSET', shares, h.id, refs + count) end
  return #element
end

-- fan_out makes the deliveries of an event but for those that an earlier run,
-- which broke off, has made. The event's shares are written before them, so that
-- none is ever freed under a delivery; what a run that breaks off has counted too
-- much, amend takes back.
local function fan_out(h, payload, ids, before)
  local wanted, skinny = {}, false
  for _, id in ipairs(ids) do
    skinny = skinny or subscriptions[id].skinny
    if not before or not string.find(before, ' ' .. id .. ' ', 1, true) then
      wanted[#wanted + 1] = id
    elseif subscriptions[id].active then
      place_once(id)
    end
  end
  made[h.id] = before or ' '
  if #wanted > 0 then
    local size, resource = keep(h, payload, #wanted, before, skinny), resource_key(h.resource)
    unused[h.id] = #wanted -- after it: where that write was refused, there is nothing to amend
    for _, id in ipairs(wanted) do
      deliver(id, h.id, h.event, size, resource)
      unused[h.id] = unused[h.id] - 1
      made[h.id] = made[h.id] .. id .. ' '
    end
  end
  if before then
    call('HDEL', broken, h.id)
    if call('HEXISTS', stored, h.id) == 0 then seen(h.id) end
  end
end

-- amend takes back the shares of deliveries that were not made, and notes which
-- were: should the event come again, the rest is made.
local function amend()
  for event, spare in pairs(unused) do
    call('HSET', broken, event, made[event])
    count.broken = true
    local refs = tonumber(call('HGET', shares, event) or 1) - spare
    if refs > 0 then
      call('HSET', shares, event, refs)
    else
      call('HDEL', shares, event)
      call('HDEL', stored, event)
    end
    unused[event] = nil
  end
end

-- sample has an event kept as a sample where its user has asked for some. It never
-- fails: no event is parked for want of a sample.
local function sample(h, element, payload_at)
  if payload_at > #element or #element > SAMPLE_LIMIT then return end
  if sampling[h.user] == nil then sampling[h.user] = tonumber(redis.pcall('GET', lane .. 'sampling:' .. h.user) or '') or 0 end
  if sampling[h.user] < 1 then return end
  local key = lane .. 'samples:' .. h.event .. ':' .. h.user
  redis.pcall('LPUSH', key, element)
  redis.pcall('LTRIM', key, 0, sampling[h.user] - 1)
  redis.pcall('EXPIRE', key, 2592000)
end

-- read_all reads the headers of events, and asks of all at once whether they were
-- dispatched before. Answers for each its header and where the payload begins, or
-- false for what cannot be routed.
local function read_all(elements)
  local heads, ids, marks = {}, {}, {}
  for i, element in ipairs(elements) do
    local ok, h, payload_at = pcall(read, element)
    heads[i] = ok and h and { h, payload_at }
    if heads[i] then
      ids[#ids + 1] = h.id
      marks[#marks + 1] = lane .. 'seen:' .. h.id
    end
  end
  if #ids == 0 then return heads end
  local kept, gone = call('HMGET', stored, unpack(ids)), call('MGET', unpack(marks))
  for i, id in ipairs(ids) do known[id] = (kept[i] or gone[i]) and true or false end
  return heads
end

-- is_duplicate tells whether an event was dispatched before. What read_all found counts
-- once: the same event may stand on the list twice.
local function is_duplicate(id)
  local found = known[id]
  known[id] = nil
  if found ~= nil then return found end
  return call('HEXISTS', stored, id) == 1 or call('EXISTS', lane .. 'seen:' .. id) == 1
end

-- dispatch answers whether the event could be routed.
local function dispatch(element, head)
  if not head then return false end
  local h, payload_at = head[1], head[2]
  local before = count.broken and call('HGET', broken, h.id)
  if not before and is_duplicate(h.id) then
    count.duplicates = count.duplicates + 1
    return true
  end
  local ids = wanting(h)
  if #ids == 0 and not before then
    seen(h.id)
  else
    fan_out(h, string.sub(element, payload_at), ids, before)
    unused[h.id] = nil
  end
  sample(h, element, payload_at)
  return true
end

local function more() return count.taken < max_events and count.made < max_deliveries and count.bytes < max_bytes end

-- pop places subscriptions and writes down what has changed of them, and takes from
-- the list what is dealt with.
local function pop()
  if #turns > 0 then
    call('ZREM', lane .. 'waiting', unpack(turns))
    take_turns(turns)
    for i = #turns, 1, -1 do turns[i] = nil end
  end
  for i, s in ipairs(changed) do
    call('HSET', subscription_key(s.id), 'seq', digits(s.seq), 'bytes', digits(s.bytes))
    if s.batch_max and s.active and s.seq > s.marked then
      mark(s.id, s.marked + 1, at)
      s.marked = s.seq
    end
    if s.replaced > 0 then
      call('HINCRBY', subscription_key(s.id), 'replaced', s.replaced)
      s.replaced = 0
    end
    s.changed, changed[i] = false, nil
  end
  if count.done > 0 then call('RPOP', lane .. 'events', count.done) end
  count.done = 0
end

while more() do
  local elements = call('LRANGE', lane .. 'events', -math.min(LOOK, max_events - count.taken), -1)
  if #elements == 0 then break end
  local heads = read_all(elements)
  for i = #elements, 1, -1 do
    if not more() then break end
    -- One element that cannot be dispatched, for whatever reason, must not wedge
    -- the lane. Where Redis takes no writes at all, parking fails too and the
    -- script ends with the event still on the list.
    local ok, routed = pcall(dispatch, elements[i], heads[i])
    if not (ok and routed) then
      amend()
      pop()
      call('LPUSH', lane .. 'parked', elements[i])
      count.parked = count.parked + 1
    end
    count.done = count.done + 1
    count.taken = count.taken + 1
    count.bytes = count.bytes + #elements[i]
  end
  pop()
end

-- due_for_trim tells whether an active subscription is to be looked at for how many
-- wait for it: at each EVERY-th of its deliveries, where so few more are no matter.
local function due_for_trim(s)
  local every = math.min(EVERY, math.ceil(max_queued / 1000))
  return s.windows or s.batches or s.batch_max or math.floor(s.seq / every) ~= math.floor(s.first / every)
end

-- Once a call will do for those: a call and what came since the last look add no
-- more than it may trim.
for id in pairs(placed) do
  local s = subscriptions[id]
  if due_for_trim(s) then
    local gone = trim(s, max_queued, math.huge, TRIM_ACTIVE)
    if gone > 0 then call('HSET', subscription_key(id), 'bytes', string.format('%.0f', s.bytes)) end
    count.overflowed = count.overflowed + gone
  end
  -- What came after the first may be due before it, or make a batch full.
  if s.windows or s.lines or s.batch_max then place(id, at) end
end
local left = call('LLEN', lane .. 'events')
if left > 0 then wake() end
return { count.taken, count.made, count.duplicates, count.parked, count.dropped, left, count.overflowed, count.replaced }
