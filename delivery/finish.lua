-- finish ends attempts: each gives its lease back and says what comes next.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock, ms
-- ARGV[2]  attempts remembered per subscription
-- ARGV[3]  ms and ARGV[4] failed attempts in a row, both of which make a
--          subscription inactive
-- ARGV[5]  ms for which a process waits for a token at most
-- ARGV[6]  leases a subscription may have at once
-- ARGV[7]  failed attempts in a row that open a subscription's breaker; 0: none has one
-- then for each attempt eight:
--          lease, outcome, ms to the next attempt, HTTP status or 0, error class
--          or "", ms for which the target wants nothing at all, bytes of what was
--          claimed, and the attempt as it is to be remembered
-- outcome  delivered  it is done
--          retry      it is due again, an attempt dearer
--          dead       it is given up, and kept until replayed
--          released   handed back, no attempt charged; due after the ms given
-- result   for each: ok, opened (ok, and the subscription's breaker is now open),
--          inactive (ok, and the subscription is now inactive),
--          gone (the subscription is deleted, the delivery let go), or
--          lost (the lease had lapsed: this holder no longer decides)

-- The breaker. A subscription that fails so often in a row, or more often than
-- not, is asked nothing until open_until. Then one real delivery is made, since
-- ramp is 1; each success doubles the ramp until it reaches the cap and the
-- breaker is closed, and a failure opens it again for twice as long. Its queue is
-- kept, and no attempt is charged while none is made. All of it is in the
-- subscription's HASH, so that all processes see the same breaker.

local FIRST, FIELDS = 8, 8
local OPEN_FOR, OPEN_MOST, PAUSE_MOST = 5000, 600000, 3600000

local at = now(ARGV[1])
local stamp = digits(at)
local kept, failing_for, failing_times = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local longest_wait, cap, break_after = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local results, released, work = {}, {}, false
-- touched are the subscriptions of this call, in the order met. What concerns a
-- subscription is read and written once, however many of its attempts end here.
local touched, known = {}, {}

-- STATE are the fields of a subscription's HASH that finish keeps.
local STATE = { 'failing_since', 'failures', 'resume_at', 'ramp', 'open_until', 'trips', 'health' }

-- WELL is what is kept of a subscription that does not fail and does not rest: nothing.
local WELL = {}

local function is_well(s) return not (s.failures or s.ramp or s.health or s.resume_at) end

-- number reads a field. Empty as well as absent means never: so the subscription may
-- be cleared either way.
local function number(text) return tonumber(text or '') end

local function subscription(id)
  local s = known[id]
  if not s then
    local key = subscription_key(id)
    local state = call('HMGET', key, 'active', 'ordered', 'lines', 'batches', 'bytes', 'health', 'failures', 'ramp', 'resume_at')
    s = { id = id, key = key, active = state[1], ordered = state[2] == '1', ended = 0, forget = {}, bytes = 0, lines = state[3],
      batches = state[4], waits = number(state[5]) or 0, health = number(state[6]), failures = number(state[7]), ramp = number(state[8]),
      resume_at = number(state[9]), before = WELL }
    if s.failures or s.ramp then -- else there are none of these
      state = call('HMGET', key, 'failing_since', 'open_until', 'trips')
      s.failing_since, s.open_until, s.trips = number(state[1]), number(state[2]), number(state[3])
    end
    if not is_well(s) then
      s.before = {}
      for _, field in ipairs(STATE) do s.before[field] = s[field] end
    end
    known[id], touched[#touched + 1] = s, s
  end
  return s
end

-- pause keeps a subscription from being asked before a time.
local function pause(s, until_) s.resume_at = math.max(s.resume_at or 0, until_) end

-- open opens the breaker, longer each time until it was closed.
local function open(s)
  s.trips = (s.trips or 0) + 1
  s.open_until = at + math.min(OPEN_FOR * 2 ^ (s.trips - 1), OPEN_MOST)
  s.ramp, s.health = 1, nil
  pause(s, s.open_until)
end

-- Health counts failures out of 1000, the last some twenty attempts weighing most.
local function worsen(s) s.health = math.floor((s.health or 0) * 19 / 20) + 50 end

local function succeeded(s)
  s.failing_since, s.failures = nil, nil
  s.health = s.health and math.floor(s.health * 19 / 20)
  if s.health == 0 then s.health = nil end
  -- What was under way when the breaker opened proves nothing of what comes.
  if s.ramp and (s.open_until or 0) <= at then
    s.ramp = s.ramp * 2
    if s.ramp >= cap then s.ramp, s.trips, s.open_until = nil, nil, nil end
  end
end

-- failed answers what came of one failure more: inactive, opened or ok.
local function failed(s)
  s.failing_since, s.failures = s.failing_since or at, (s.failures or 0) + 1
  if s.active ~= '1' then return 'ok' end
  if at - s.failing_since >= failing_for and s.failures >= failing_times then
    s.active = '0'
    call('HSET', subscription_key(s.id), 'active', '0', 'inactive_reason', 'failing', 'updated_at', at)
    -- Whoever makes it active again has repaired it, and waits for nothing.
    s.ramp, s.open_until, s.trips, s.health, s.resume_at = nil, nil, nil, nil, nil
    return 'inactive'
  end
  if break_after == 0 then return 'ok' end
  worsen(s)
  if (s.open_until or 0) > at then return 'ok' end
  if s.ramp or s.failures >= break_after or s.health > 500 then
    open(s)
    return 'opened'
  end
  return 'ok'
end

-- record remembers an attempt: when it ended, by Redis' clock, and what the engine
-- says of it.
local function record(s, status, class, attempt)
  s.last = { status, class }
  call('XADD', lane .. 'attempts:' .. s.id, 'MAXLEN', '~', kept, '*', 'at', stamp, 'is', attempt)
end

-- share has those that ride in a batch share its end: delivered, dead, or an attempt
-- more.
local function share(s, head, outcome)
  local ended = outcome ~= 'retry'
  local riders, sequences
  if ended then
    riders, sequences = disband(s.id, head)
  else
    local _
    _, riders, sequences = batch_of(s.id, head)
  end
  for i, rider in ipairs(riders or {}) do
    if ended then s.bytes = s.bytes + weight(rider) end
    if outcome == 'delivered' then
      table.insert(s.forget, rider)
      release(rider)
    else
      remember(s.id, rider, (recall(s.id, rider) or 0) + 1, sequences[i])
      if outcome == 'dead' then hold(dead_key(s.id), at, rider) end
    end
    if ended and s.lines then advance(s.id, rider, at) end
  end
end

-- settle puts the delivery where the outcome says; its share in the event goes with it.
local function settle(s, event, sequence, tries, outcome, after, size)
  if s.batches and outcome ~= 'released' then share(s, event, outcome) end
  if outcome == 'delivered' or outcome == 'dead' then s.bytes = s.bytes + size end
  if outcome == 'delivered' then
    s.forget[#s.forget + 1], released[#released + 1] = event, event
  elseif outcome == 'released' and after == 0 then
    put_back(s.id, event, sequence, tries, at)
    s.put_back = true
  else
    s.put_back = true
    if outcome ~= 'released' then tries = tries + 1 end
    remember(s.id, event, tries, sequence)
    if outcome == 'dead' then
      hold(dead_key(s.id), at, event)
      call('ZADD', lane .. 'retained', 'NX', at, s.id)
    elseif s.ordered then
      hold(queue_key(s.id), sequence, event)
      pause(s, at + after)
    else
      hold(retry_key(s.id), at + after, event)
    end
  end
  if s.lines and (outcome == 'delivered' or outcome == 'dead') then advance(s.id, event, at) end
end

local function finish(held, lease, outcome, after, status, class, paused, size, attempt)
  if not held then return 'lost' end
  local id, event, sequence, tries = lease_parts(lease)
  local s = subscription(id)
  s.ended = s.ended + 1
  if not s.active then
    release(event)
    return 'gone'
  end
  settle(s, event, sequence, tonumber(tries), outcome, after, size)
  if outcome == 'released' then return 'ok' end
  record(s, status, class, attempt)
  if paused > 0 then pause(s, at + math.min(paused, PAUSE_MOST)) end
  if outcome == 'delivered' then
    succeeded(s)
    return 'ok'
  end
  return failed(s)
end

-- news tells whether a subscription is runnable, or will be before those who
-- wait now would look again by themselves.
local function news(id)
  if place(id, at) then return true end
  local first = call('ZRANGE', lane .. 'waiting', 0, 0, 'WITHSCORES')
  return first[1] == id and tonumber(first[2]) < at + longest_wait
end

-- write writes down what became of a subscription.
local function write(s)
  local key, fields = s.key, {}
  local function set(name, value)
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  if s.bytes > 0 then set('bytes', digits(s.waits - s.bytes)) end
  if s.last then
    set('last_status', s.last[1])
    set('last_error', s.last[2])
    set('last_at', stamp)
  end
  for _, field in ipairs(s.before == WELL and is_well(s) and WELL or STATE) do
    if s[field] == nil and s.before[field] ~= nil then
      call('HDEL', key, field)
    elseif s[field] ~= s.before[field] then
      set(field, digits(s[field]))
    end
  end
  if #fields > 0 then call('HSET', key, unpack(fields)) end
end

-- moved tells whether an end has changed where a subscription may have to stand:
-- something was put back or let go on, it rests, or a claim that met it at its cap
-- has left it out. Otherwise it stands where it did.
local function moved(s) return s.full or s.lines or s.batches or s.active ~= '1' or s.put_back or s.resume_at ~= s.before.resume_at end

-- leave writes down what became of a subscription, and places it anew where it must.
-- remembered tells whether anything is remembered of any of this call.
local function leave(s, remembered)
  write(s)
  if #s.forget > 0 and remembered then forget(s.id, unpack(s.forget)) end
  if moved(s) then work = news(s.id) or work end
end

-- unlease_all counts the leases that have ended, and has those that were left out
-- for being at their cap placed anew.
local function unlease_all()
  local ids, left, none = {}, {}, {}
  for i, s in ipairs(touched) do ids[i] = s.id end
  for i, full in ipairs(call('HMGET', lane .. 'full', unpack(ids))) do touched[i].full = full end
  for i, held in ipairs(call('HMGET', lane .. 'inflight', unpack(ids))) do
    local count = tonumber(held or 0) - touched[i].ended
    if count > 0 then
      left[#left + 1] = ids[i]
      left[#left + 1] = digits(count)
    else
      none[#none + 1] = ids[i]
    end
  end
  if #left > 0 then call('HSET', lane .. 'inflight', unpack(left)) end
  if #none > 0 then call('HDEL', lane .. 'inflight', unpack(none)) end
  call('HDEL', lane .. 'full', unpack(ids))
end

-- leave_all lets go of all subscriptions of this call.
local function leave_all()
  if #touched == 0 then return end
  unlease_all()
  release_all(released)
  local tries = {}
  for i, s in ipairs(touched) do tries[i] = tries_key(s.id) end
  local remembered = call('EXISTS', unpack(tries)) > 0
  for _, s in ipairs(touched) do
    if s.active then leave(s, remembered) end
  end
end

-- take_back gives the leases back, and answers which of them were still held. A
-- lease that stands here twice is held once.
local function take_back()
  local members, seen_here, held = {}, {}, {}
  for i = FIRST, #ARGV, FIELDS do members[#members + 1] = ARGV[i] end
  for i, score in ipairs(call('ZMSCORE', lane .. 'leases', unpack(members))) do
    held[i] = score and not seen_here[members[i]]
    seen_here[members[i]] = true
  end
  call('ZREM', lane .. 'leases', unpack(members))
  return held
end

local held, given, number_of = take_back(), ARGV, tonumber -- neither of which is then looked up by name
for i = FIRST, #given, FIELDS do
  results[#results + 1] = finish(held[#results + 1], given[i], given[i + 1], number_of(given[i + 2]), given[i + 3], given[i + 4],
    number_of(given[i + 5]), number_of(given[i + 6]), given[i + 7])
end
leave_all()
if work then wake() end
return results
