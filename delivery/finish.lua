-- finish ends attempts: each gives its lease back and says what comes next.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock, ms
-- ARGV[2]  attempts remembered per subscription
-- ARGV[3]  ms and ARGV[4] failed attempts in a row, both of which make a
--          subscription inactive
-- ARGV[5]  ms for which a process waits for a token at most
-- then for each attempt seven:
--          lease, outcome, ms to the next attempt, HTTP status or 0,
--          ms it took, error class or "", its number
-- outcome  delivered  it is done
--          retry      it is due again, an attempt dearer
--          dead       it is given up, and kept until replayed
--          released   handed back, no attempt charged; due after the ms given
-- result   for each: ok, inactive (ok, and the subscription is now inactive),
--          gone (the subscription is deleted, the delivery let go), or
--          lost (the lease had lapsed: this holder no longer decides)

local FIELDS = 7

local at = now(ARGV[1])
local kept, failing_for, failing_times = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local longest_wait = tonumber(ARGV[5])
local results, work = {}, false
-- touched are the subscriptions of this call, in the order met. What concerns a
-- subscription is read and written once, however many of its attempts end here.
local touched, known = {}, {}

local function subscription(id)
  local s = known[id]
  if not s then
    local state = redis.call('HMGET', subscription_key(id), 'active', 'failing_since', 'failures')
    -- Empty as well as absent means never: so the subscription may be cleared either way.
    s = { id = id, active = state[1], since = tonumber(state[2] or ''), failures = tonumber(state[3] or '') or 0,
      ended = 0, forget = {} }
    s.was_failing = s.since ~= nil or s.failures > 0
    known[id], touched[#touched + 1] = s, s
  end
  return s
end

-- succeeded and failed keep the failure state; failed answers whether it made
-- the subscription inactive.
local function succeeded(s) s.since, s.failures = nil, 0 end

local function failed(s)
  s.since, s.failures = s.since or at, s.failures + 1
  if s.active ~= '1' or at - s.since < failing_for or s.failures < failing_times then return false end
  s.active = '0'
  redis.call('HSET', subscription_key(s.id), 'active', '0', 'inactive_reason', 'failing', 'updated_at', at)
  return true
end

local function record(s, event, outcome, status, took, class, attempt)
  s.last = { status, class }
  redis.call('XADD', lane .. 'attempts:' .. s.id, 'MAXLEN', '~', kept, '*', 'at', at, 'event', event,
    'attempt', attempt, 'outcome', outcome, 'status', status, 'ms', took, 'error', class)
end

-- settle puts the delivery where the outcome says; its share in the event goes with it.
local function settle(s, event, sequence, tries, outcome, after)
  if outcome == 'delivered' then
    table.insert(s.forget, event)
    release(event)
  elseif outcome == 'released' and after == 0 then
    put_back(s.id, event, sequence, tries, at)
  else
    if outcome ~= 'released' then tries = tries + 1 end
    remember(s.id, event, tries, sequence)
    if outcome == 'dead' then
      hold(dead_key(s.id), at, event)
    else
      hold(retry_key(s.id), at + after, event)
    end
  end
end

local function finish(held, lease, outcome, after, status, took, class, attempt)
  if not held then return 'lost' end
  local id, event, sequence, tries = lease_parts(lease)
  local s = subscription(id)
  s.ended = s.ended + 1
  if not s.active then
    release(event)
    return 'gone'
  end
  settle(s, event, sequence, tonumber(tries), outcome, after)
  if outcome == 'released' then return 'ok' end
  record(s, event, outcome, status, took, class, attempt)
  if outcome == 'delivered' then succeeded(s) elseif failed(s) then return 'inactive' end
  return 'ok'
end

-- news tells whether a subscription is runnable, or will be before those who
-- wait now would look again by themselves.
local function news(id)
  if place(id, at) then return true end
  local first = redis.call('ZRANGE', lane .. 'waiting', 0, 0, 'WITHSCORES')
  return first[1] == id and tonumber(first[2]) < at + longest_wait
end

-- leave writes down what became of a subscription, and places it anew.
local function leave(s)
  unlease(s.id, s.ended)
  if not s.active then return end
  local key = subscription_key(s.id)
  if #s.forget > 0 then redis.call('HDEL', tries_key(s.id), unpack(s.forget)) end
  if s.last then redis.call('HSET', key, 'last_status', s.last[1], 'last_error', s.last[2], 'last_at', at) end
  if s.since then
    redis.call('HSET', key, 'failing_since', s.since, 'failures', s.failures)
  elseif s.was_failing then
    redis.call('HDEL', key, 'failing_since', 'failures')
  end
  work = news(s.id) or work
end

-- take_back gives the leases back, and answers which of them were still held. A
-- lease that stands here twice is held once.
local function take_back()
  local members, seen_here, held = {}, {}, {}
  for i = 6, #ARGV, FIELDS do members[#members + 1] = ARGV[i] end
  for i, score in ipairs(redis.call('ZMSCORE', lane .. 'leases', unpack(members))) do
    held[i] = score and not seen_here[members[i]]
    seen_here[members[i]] = true
  end
  redis.call('ZREM', lane .. 'leases', unpack(members))
  return held
end

local held = take_back()
for i = 6, #ARGV, FIELDS do
  results[#results + 1] = finish(held[#results + 1], ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3], ARGV[i + 4],
    ARGV[i + 5], ARGV[i + 6])
end
for _, s in ipairs(touched) do leave(s) end
if work then wake() end
return results
