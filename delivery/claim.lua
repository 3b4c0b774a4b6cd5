-- claim takes deliveries that are due, each under a lease, and returns to their
-- subscriptions those whose lease has lapsed.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock, ms
-- ARGV[2]  deliveries wanted
-- ARGV[3]  leases a subscription may have at once
-- ARGV[4]  ms for which a lease holds
-- ARGV[5]  bytes of payload after which to stop
-- ARGV[6]  token, never used before
-- result   {{ms to the next due retry or lapse or -1, lapsed leases, deliveries let go,
--            events left, deleted subscriptions left, runnable subscriptions left},
--           {lease, header, payload, target URL, secret, format} ...}
--
-- Fairness. Subscriptions are visited in turn, and a visit takes one delivery;
-- who has more takes a new turn behind all others. Who is at its cap is dropped
-- from the round, and finish brings it back. So a slow subscriber with 10,000
-- waiting delays nobody but itself.
--
-- Within a subscription, where both new deliveries and due retries wait, they
-- alternate. Retries first would let a backlog of failures hold up news for
-- hours; news first would never retry where news arrives faster than it leaves.
--
-- A lapsed lease costs no attempt: nobody knows whether the target was at fault.

local LAPSED_LIMIT, DUE_LIMIT = 100, 500

local at = now(ARGV[1])
local want, cap, lease_for, max_bytes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local token = ARGV[6]
local leases, runnable, waiting = lane .. 'leases', lane .. 'runnable', lane .. 'waiting'
local lapsed, let_go, bytes = 0, 0, 0
local claimed = {}

for _, member in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', at, 'LIMIT', 0, LAPSED_LIMIT)) do
  redis.call('ZREM', leases, member)
  local id, event, sequence, tries = lease_parts(member)
  if id then
    unlease(id)
    if exists(id) then
      put_back(id, event, sequence, tries, at)
      place(id, at)
    else
      release(event)
    end
    lapsed = lapsed + 1
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', waiting, '-inf', at, 'LIMIT', 0, DUE_LIMIT)) do
  place(id, at)
end

-- take takes the delivery whose turn it is: event, sequence, attempts so far.
local function take(id)
  local retry = redis.call('ZRANGEBYSCORE', retry_key(id), '-inf', at, 'LIMIT', 0, 1)[1]
  local fresh = redis.call('ZRANGE', queue_key(id), 0, 0, 'WITHSCORES')
  if retry and fresh[1] and redis.call('HINCRBY', subscription_key(id), 'mixed', 1) % 2 == 0 then
    retry = nil
  end
  if retry then
    redis.call('ZREM', retry_key(id), retry)
    local tries, sequence = recall(id, retry)
    return retry, sequence or '0', tries or '1'
  end
  if fresh[1] then
    redis.call('ZREM', queue_key(id), fresh[1])
    return fresh[1], fresh[2], '0'
  end
end

-- lease takes one delivery of a subscription, and answers whether it did. A
-- delivery whose event is gone is let go.
local function lease(id, subscription)
  local event, sequence, tries = take(id)
  if not event then return false end
  local stored = redis.call('HMGET', event_key(event), 'header', 'payload')
  if not stored[1] then
    redis.call('HDEL', tries_key(id), event)
    let_go = let_go + 1
    return false
  end
  local member = id .. '|' .. event .. '|' .. sequence .. '|' .. tries .. '|' .. token .. '-' .. (#claimed + 1)
  redis.call('ZADD', leases, at + lease_for, member)
  redis.call('HINCRBY', lane .. 'inflight', id, 1)
  local payload = stored[2] or ''
  bytes = bytes + #payload
  claimed[#claimed + 1] = { member, stored[1], payload, subscription[2] or '', subscription[3] or '', subscription[4] or '' }
  return true
end

local visits = want * 4 + 100
while #claimed < want and bytes < max_bytes and visits > 0 do
  visits = visits - 1
  local id = redis.call('ZPOPMIN', runnable)[1]
  if not id then break end
  local subscription = redis.call('HMGET', subscription_key(id), 'active', 'target_url', 'secret', 'format')
  local held = tonumber(redis.call('HGET', lane .. 'inflight', id) or 0)
  if subscription[1] == '1' and held < cap then
    if lease(id, subscription) then held = held + 1 end
    if held < cap then place(id, at) end
  end
end

-- The token in wake says that there is something to do; after this look it is
-- known whether there is.
local events, deleted = redis.call('LLEN', lane .. 'events'), redis.call('SCARD', lane .. 'purge')
local more = redis.call('ZCARD', runnable)
if events + deleted + more > 0 then
  wake()
else
  redis.call('DEL', lane .. 'wake')
end

local due = -1
for _, key in ipairs({ waiting, leases }) do
  local score = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  if score then
    local ms = math.max(0, math.ceil(tonumber(score) - at))
    if due < 0 or ms < due then due = ms end
  end
end
table.insert(claimed, 1, { due, lapsed, let_go, events, deleted, more })
return claimed
