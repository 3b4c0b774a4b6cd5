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

local function succeeded(id)
  redis.call('HDEL', subscription_key(id), 'failing_since', 'failures')
end

-- failed counts a failure and answers whether it made the subscription inactive.
local function failed(id)
  local key = subscription_key(id)
  local state = redis.call('HMGET', key, 'failing_since', 'failures', 'active')
  -- Empty as well as absent means never: so the subscription may be cleared either way.
  local since = tonumber(state[1] or '') or at
  local failures = (tonumber(state[2] or '') or 0) + 1
  redis.call('HSET', key, 'failing_since', since, 'failures', failures)
  if state[3] ~= '1' or at - since < failing_for or failures < failing_times then return false end
  redis.call('HSET', key, 'active', '0', 'inactive_reason', 'failing', 'updated_at', at)
  return true
end

local function record(id, event, outcome, status, took, class, attempt)
  redis.call('HSET', subscription_key(id), 'last_status', status, 'last_error', class, 'last_at', at)
  redis.call('XADD', lane .. 'attempts:' .. id, 'MAXLEN', '~', kept, '*', 'at', at, 'event', event,
    'attempt', attempt, 'outcome', outcome, 'status', status, 'ms', took, 'error', class)
end

-- settle puts the delivery where the outcome says; its share in the event goes with it.
local function settle(id, event, sequence, tries, outcome, after)
  if outcome == 'delivered' then
    redis.call('HDEL', tries_key(id), event)
    release(event)
  elseif outcome == 'released' and after == 0 then
    put_back(id, event, sequence, tries, at)
  else
    if outcome ~= 'released' then tries = tries + 1 end
    remember(id, event, tries, sequence)
    if outcome == 'dead' then
      hold(dead_key(id), at, event)
    else
      hold(retry_key(id), at + after, event)
    end
  end
end

-- news tells whether a subscription is runnable, or will be before those who
-- wait now would look again by themselves.
local function news(id)
  if place(id, at) then return true end
  local first = redis.call('ZRANGE', lane .. 'waiting', 0, 0, 'WITHSCORES')
  return first[1] == id and tonumber(first[2]) < at + longest_wait
end

local function finish(lease, outcome, after, status, took, class, attempt)
  if redis.call('ZREM', lane .. 'leases', lease) == 0 then return 'lost' end
  local id, event, sequence, tries = lease_parts(lease)
  unlease(id)
  if not exists(id) then
    release(event)
    return 'gone'
  end
  settle(id, event, sequence, tonumber(tries), outcome, after)
  local inactive = false
  if outcome ~= 'released' then
    record(id, event, outcome, status, took, class, attempt)
    if outcome == 'delivered' then succeeded(id) else inactive = failed(id) end
  end
  work = news(id) or work
  return inactive and 'inactive' or 'ok'
end

for i = 6, #ARGV, FIELDS do
  results[#results + 1] = finish(ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6])
end
if work then wake() end
return results
