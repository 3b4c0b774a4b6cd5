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
-- Fairness. Subscriptions are visited in turn, and each gives one delivery
-- before any gives a second; who has more takes a new turn behind all others.
-- Who is at its cap is dropped from the round, and finish brings it back. So a
-- slow subscriber with 10,000 waiting delays nobody but itself.
--
-- The cost is in calls, not in deliveries: what concerns a subscription is read
-- and written once a visit, however many deliveries the visit takes.
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

-- due answers up to `most` deliveries of a subscription in the order in which
-- they are to be taken: {event, sequence, attempts so far, key of its set}.
local function due(s, most)
  local fresh = redis.call('ZRANGE', queue_key(s.id), 0, most - 1, 'WITHSCORES')
  local retries = redis.call('ZRANGEBYSCORE', retry_key(s.id), '-inf', at, 'LIMIT', 0, most)
  local found, f, r = {}, 1, 1
  while #found < most and (fresh[f] or retries[r]) do
    local retry = retries[r] ~= nil
    if retry and fresh[f] then
      s.mixed = (s.mixed or tonumber(redis.call('HGET', subscription_key(s.id), 'mixed') or 0)) + 1
      retry = s.mixed % 2 == 1
    end
    if retry then
      local tries, sequence = recall(s.id, retries[r])
      found[#found + 1] = { retries[r], sequence or '0', tries or '1', retry_key(s.id) }
      r = r + 1
    else
      found[#found + 1] = { fresh[f], fresh[f + 1], '0', queue_key(s.id) }
      f = f + 2
    end
  end
  return found
end

-- look answers what a visit to a subscription may take, nil for nothing at all.
local function look(id, share)
  local fields = redis.call('HMGET', subscription_key(id), 'active', 'target_url', 'secret', 'format')
  if fields[1] ~= '1' then return nil end
  local s = { id = id, fields = fields, taken = {}, leases = {} }
  s.held = tonumber(redis.call('HGET', lane .. 'inflight', id) or 0)
  if s.held >= cap then return nil end
  s.due = due(s, math.min(share, cap - s.held))
  return s
end

-- lease puts one delivery under a lease. One whose event is gone is let go.
local function lease(s, delivery)
  local event = delivery[1]
  s.taken[#s.taken + 1] = delivery
  local stored = redis.call('HMGET', event_key(event), 'header', 'payload')
  if not stored[1] then
    redis.call('HDEL', tries_key(s.id), event)
    let_go = let_go + 1
    return
  end
  local member = s.id .. '|' .. event .. '|' .. delivery[2] .. '|' .. delivery[3] .. '|' .. token .. '-' .. (#claimed + 1)
  s.leases[#s.leases + 1] = at + lease_for
  s.leases[#s.leases + 1] = member
  local payload, f = stored[2] or '', s.fields
  bytes = bytes + #payload
  claimed[#claimed + 1] = { member, stored[1], payload, f[2] or '', f[3] or '', f[4] or '' }
end

-- leave writes down what a visit took, and places the subscription anew.
local function leave(s)
  local from = {}
  for _, delivery in ipairs(s.taken) do
    local key = delivery[4]
    from[key] = from[key] or {}
    table.insert(from[key], delivery[1])
  end
  for key, events in pairs(from) do redis.call('ZREM', key, unpack(events)) end
  if s.mixed then redis.call('HSET', subscription_key(s.id), 'mixed', s.mixed % 2) end
  if #s.leases > 0 then
    redis.call('ZADD', leases, unpack(s.leases))
    s.held = redis.call('HINCRBY', lane .. 'inflight', s.id, #s.leases / 2)
  end
  if s.held < cap then place(s.id, at) end
end

-- A round visits as many subscriptions as there are deliveries wanted, or all,
-- and takes one of each in turn, as often as needed.
local visits = want * 4 + 100
while #claimed < want and bytes < max_bytes and visits > 0 do
  local next = redis.call('ZPOPMIN', runnable, math.min(want - #claimed, visits))
  if #next == 0 then break end
  visits = visits - #next / 2
  local visited, share = {}, math.ceil((want - #claimed) / (#next / 2))
  for i = 1, #next, 2 do visited[#visited + 1] = look(next[i], share) end
  for turn = 1, share do
    for _, s in ipairs(visited) do
      if s.due[turn] and #claimed < want and bytes < max_bytes then lease(s, s.due[turn]) end
    end
  end
  for _, s in ipairs(visited) do leave(s) end
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

local soonest = -1
for _, key in ipairs({ waiting, leases }) do
  local score = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  if score then
    local ms = math.max(0, math.ceil(tonumber(score) - at))
    if soonest < 0 or ms < soonest then soonest = ms end
  end
end
table.insert(claimed, 1, { soonest, lapsed, let_go, events, deleted, more })
return claimed
