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
-- ARGV[7]  of the deliveries wanted, how many may have failed before
-- ARGV[8]  ms for which a dead letter is kept
-- result   {{ms to the next due retry or lapse or -1, lapsed leases, deliveries let go,
--            events left, deleted subscriptions left, runnable subscriptions left,
--            1 if dead letters have expired, redeliveries due},
--           {lease, event as it is stored, target URL, secret, format, previous
--           secret while it holds or "", signature, headers, 1 if skinny,
--           where batches are made: {name, and of each rider event, sequence, and
--           how it is stored}} ...}
--
-- Fairness. Subscriptions are visited in turn, and each gives one delivery
-- before any gives a second; who has more takes a new turn behind all others.
-- Who is at its cap is left out, which is noted in full, and finish brings it back. So a
-- slow subscriber with 10,000 waiting delays nobody but itself.
--
-- The cost is in calls, not in deliveries: what concerns a subscription is read
-- and written once a visit, however many deliveries the visit takes; and what can be
-- read or written for all that are visited in a round is, once a round.
--
-- Within a subscription, where both new deliveries and due retries wait, they
-- alternate. Retries first would let a backlog of failures hold up news for
-- hours; news first would never retry where news arrives faster than it leaves.
--
-- Retries leave a part of a subscription's cap to news. A redelivery of thousands
-- would hold all of it otherwise, and news would wait for as long as the target
-- takes to answer.
--
-- What fails may fail slowly, so retries may take only a share of the workers. A
-- subscription with nothing else to do then is set aside for a moment.
--
-- Of an ordered subscription only the delivery with the lowest sequence is ever
-- taken, and only while none is in flight. One that has failed waits in the
-- queue at its place, and resume_at keeps the rest behind it.
--
-- Of a subscription that is ordered by resource, what stands here is the head of
-- its resource. What was queued before the order was asked for gets in line now.
--
-- Where batches are made, what a visit takes one of is a batch, under one lease: in
-- cap, rate and retries it counts as a delivery. Whoever is to be in it is decided
-- here, and stays so until it is delivered or given up.
--
-- A lapsed lease costs no attempt: nobody knows whether the target was at fault.

local LAPSED_LIMIT, DUE_LIMIT, REORDER_LIMIT = 100, 500, 100
-- FOR_NEWS is the part of a subscription's cap that retries leave free.
local FOR_NEWS = 1 / 4
-- ASIDE is for how many ms, BURST of how many ms a rate may be used at once.
local ASIDE, BURST = 250, 100

local want, cap, lease_for, max_bytes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local retries_left = tonumber(ARGV[7])
local leases, runnable, waiting = lane .. 'leases', lane .. 'runnable', lane .. 'waiting'
local lapses = digits(at + lease_for)
local lapsed = 0

local function append(list, a, b)
  list[#list + 1] = a
  list[#list + 1] = b
end

for _, member in ipairs(call('ZRANGEBYSCORE', leases, '-inf', at, 'LIMIT', 0, LAPSED_LIMIT)) do
  call('ZREM', leases, member)
  local id, event, sequence, tries = lease_parts(member)
  if id then
    unlease(id)
    call('HDEL', lane .. 'full', id)
    if exists(id) then
      put_back(id, event, sequence, tries, at)
      place(id, at)
    else
      release(event)
    end
    lapsed = lapsed + 1
  end
end

for _, id in ipairs(call('ZRANGEBYSCORE', waiting, '-inf', at, 'LIMIT', 0, DUE_LIMIT)) do
  place(id, at)
end

-- reorder returns to the queue what failed, or was blocked, before its subscription
-- was strictly ordered.
local function reorder(id)
  local blocked = call('ZRANGE', blocked_key(id), 0, REORDER_LIMIT - 1, 'WITHSCORES')
  for i = 1, #blocked, 2 do
    unblock(id, blocked[i])
    hold(queue_key(id), blocked[i + 1], blocked[i])
  end
  for _, event in ipairs(call('ZRANGE', retry_key(id), 0, REORDER_LIMIT - 1)) do
    local _, sequence = recall(id, event)
    call('ZREM', retry_key(id), event)
    hold(queue_key(id), sequence or '0', event)
  end
end

-- ripen_all queues what is left of the windows whose time is over.
local function ripen_all(s)
  local before = tonumber(s.fields[19] or 0)
  local last = ripen(s.id, ended(s.id, at), before, s.fields[5] == 'resource')
  if last == before then return end
  call('HSET', subscription_key(s.id), 'seq', last)
  if s.batch_max then mark(s.id, before + 1, at) end
end

-- room answers how many leases more a subscription may have for retries.
local function room(s)
  if s.ordered or s.cap == 1 then return s.cap - s.held end
  return s.cap - math.ceil(s.cap * FOR_NEWS) - s.held
end

-- waits answers what the queue and the due retries of a subscription hold. Of the
-- queue it looks at one more, to know whether something stays in it.
local function waits(s, most)
  if s.ordered then reorder(s.id) end
  local fresh = call('ZRANGE', s.queue, 0, most, 'WITHSCORES')
  s.queued = #fresh / 2
  most = math.min(most, room(s))
  if not s.retried or s.ordered or retries_left <= 0 or most <= 0 then return fresh, {} end
  return fresh, call('ZRANGEBYSCORE', retry_key(s.id), '-inf', at, 'LIMIT', 0, most)
end

-- retry_next tells whether a retry is to be taken next: where something new waits as
-- well, they alternate.
local function retry_next(s, new, retry)
  if not (new and retry) then return retry ~= nil end
  s.mixed = (s.mixed or tonumber(call('HGET', subscription_key(s.id), 'mixed') or 0)) + 1
  return s.mixed % 2 == 1
end

-- due answers up to `most` deliveries of a subscription in the order in which
-- they are to be taken: {event, sequence, attempts so far, key of its set}.
local function due(s, most)
  local fresh, retries = waits(s, most)
  local found, f, r = {}, 1, 1
  while #found < most and (fresh[f] or retries[r]) do
    if retry_next(s, fresh[f], retries[r]) then
      local tries, sequence = recall(s.id, retries[r])
      found[#found + 1] = { retries[r], sequence or '0', tries or '1', retry_key(s.id) }
      r = r + 1
    else
      found[#found + 1] = { fresh[f], fresh[f + 1], s.retried and recall(s.id, fresh[f]) or '0', s.queue }
      f = f + 2
    end
  end
  return found
end

-- due_batches answers up to `most` batches as due does deliveries.
local function due_batches(s, most)
  if s.ordered then reorder(s.id) end
  local fresh, retries, found, f, r = news(s, most), {}, {}, 1, 1
  if not s.ordered and retries_left > 0 and room(s) > 0 then
    local events, rows = call('ZRANGEBYSCORE', retry_key(s.id), '-inf', at, 'LIMIT', 0,
      math.min(room(s) * s.batch_max, RIDERS)), {}
    for i, event in ipairs(events) do
      local tries, sequence = recall(s.id, event)
      rows[i] = { event, sequence or '0', tries or '1' }
    end
    retries = gather(s, retry_key(s.id), rows)
    for i = room(s) + 1, #retries do retries[i] = nil end
  end
  while #found < most and (fresh[f] or retries[r]) do
    if retry_next(s, fresh[f], retries[r]) then
      found[#found + 1], r = retries[r], r + 1
    else
      found[#found + 1], f = fresh[f], f + 1
    end
  end
  return found
end

-- allowance answers how many deliveries a subscription's rate allows now. The
-- rate is kept as the time up to which it is used: rate_at. An idle one may use
-- BURST at once, or one delivery where that takes longer.
local function allowance(s, rate, used_until)
  if not (rate and rate > 0) then return want end
  s.interval = 1000 / rate
  s.rate_at = math.max(used_until or 0, at)
  return math.floor((at + math.max(BURST, s.interval) - s.rate_at) / s.interval + 0.001)
end

-- read answers the fields of a subscription that a visit may ask for. Few have a
-- rate, a secret that is being changed, a window or batches, so the last four are
-- asked for only where they may be of use.
local function read(id)
  local fields = call('HMGET', subscription_key(id), 'active', 'target_url', 'secret', 'format', 'ordered', 'ramp', 'max_rate',
    'resume_at', 'previous_secret', 'signature', 'headers', 'lines', 'skinny', 'windows', 'batch_max', 'batches')
  if fields[7] or fields[9] or fields[14] or fields[15] then
    local rest = call('HMGET', subscription_key(id), 'rate_at', 'previous_secret_until', 'seq', 'batch_within')
    fields[17], fields[18], fields[19], fields[20] = rest[1], rest[2], rest[3], rest[4]
  end
  return fields
end

-- look answers what a visit to a subscription may take, nil for nothing at all.
-- retried tells whether any that is visited may have failed before.
local function look(id, share, held, retried, round)
  local fields = read(id)
  if fields[1] ~= '1' then return nil end
  local s = { id = id, queue = queue_key(id), fields = fields, taken = {}, leases = {}, gone = {}, ordered = fields[5] == '1',
    batch_max = tonumber(fields[15] or ''), batch_within = tonumber(fields[20] or '') }
  if (tonumber(fields[8] or '') or 0) > at then
    place(id, at)
    return nil
  end
  s.held = tonumber(held or 0)
  s.cap = math.min(cap, s.ordered and 1 or cap, tonumber(fields[6] or '') or cap)
  if s.held >= s.cap then
    append(round.full, id, '1')
    return nil
  end
  s.previous = (tonumber(fields[18] or '') or 0) > at and fields[9] or ''
  s.allowed = allowance(s, tonumber(fields[7] or ''), tonumber(fields[17] or ''))
  if s.allowed < 1 then -- the rate was lowered since it was used
    call('HSET', subscription_key(id), 'resume_at', string.format('%.0f', math.ceil(s.rate_at)))
    place(id, at)
    return nil
  end
  if fields[14] then ripen_all(s) end
  s.retried = retried and call('EXISTS', tries_key(id), retry_key(id)) > 0
  s.due = (s.batch_max and due_batches or due)(s, math.min(share, s.cap - s.held, s.allowed))
  return s
end

-- lease puts one delivery under a lease. One whose event is gone is let go.
local function lease(s, delivery)
  local event = delivery[1]
  if delivery[3] ~= '0' then
    if retries_left <= 0 then
      s.aside = s.aside or delivery[4] == s.queue
      return
    end
    retries_left = retries_left - 1
  end
  s.taken[#s.taken + 1] = delivery
  local element, f = fetch(event), s.fields
  if not element then
    missing(s, event)
    if f[16] then scatter(s.id, event, at) end
    return
  end
  if waits_in_line(s, event, delivery[2]) then
    if delivery[3] ~= '0' then retries_left = retries_left + 1 end
    return
  end
  local member = s.id .. '|' .. event .. '|' .. delivery[2] .. '|' .. delivery[3] .. '|' .. token .. '-' .. (#claimed + 1)
  append(s.leases, lapses, member)
  bytes = bytes + #element
  claimed[#claimed + 1] = { member, element, f[2] or '', f[3] or '', f[4] or '', s.previous,
    f[10] or '', f[11] or '', f[13] or '', board(s, delivery) }
end

-- set_aside tells whether a subscription has nothing to do but retries, for which
-- there are no workers now, and if so puts it where it comes back in a moment.
local function set_aside(s)
  if retries_left > 0 then return false end
  if not s.aside or #s.taken > 0 then
    local retry = call('ZRANGE', retry_key(s.id), 0, 0, 'WITHSCORES')
    local news = news_at(s.id, at, s.batch_max, s.batch_within)
    s.aside = retry[1] and tonumber(retry[2]) <= at and not (news and news <= at)
  end
  if s.aside then call('ZADD', waiting, at + ASIDE, s.id) end
  return s.aside
end

-- spend writes down what a visit used of a subscription's rate. Used up, it
-- pauses until all of it is there again, lest each delivery wake somebody.
local function spend(s, count)
  s.rate_at = s.rate_at + count * s.interval
  call('HSET', subscription_key(s.id), 'rate_at', string.format('%.3f', s.rate_at))
  if count >= s.allowed then call('HSET', subscription_key(s.id), 'resume_at', string.format('%.0f', math.ceil(s.rate_at))) end
end

-- is_plain tells whether there is nothing more to a subscription than its queue, of
-- which the visit knows whether something stays in it.
local function is_plain(s) return not (s.retried or s.interval or s.fields[14] or s.batch_max or #s.gone > 0) end

-- leave writes down what a visit took, and places the subscription anew.
local function leave(s, round)
  local fresh, retries = {}, {}
  for _, delivery in ipairs(s.taken) do
    local from = delivery[4] == s.queue and fresh or retries
    from[#from + 1] = delivery[1]
  end
  if #fresh > 0 then call('ZREM', s.queue, unpack(fresh)) end
  if #retries > 0 then call('ZREM', retry_key(s.id), unpack(retries)) end
  for _, event in ipairs(s.gone) do advance(s.id, event, at) end
  if s.mixed then call('HSET', subscription_key(s.id), 'mixed', s.mixed % 2) end
  if #s.leases > 0 then
    for i = 1, #s.leases, 2 do append(round.leases, s.leases[i], s.leases[i + 1]) end
    s.held = s.held + #s.leases / 2
    append(round.inflight, s.id, digits(s.held))
  end
  if s.interval then spend(s, #s.leases / 2) end
  if s.batch_max then tidy(s) end
  if s.held >= s.cap then -- finish brings it back
    append(round.full, s.id, '1')
  elseif is_plain(s) then
    if s.queued > #fresh then round.again[#round.again + 1] = s.id end
  elseif room(s) <= 0 then -- for news alone; finish brings its retries back
    append(round.full, s.id, '1')
    place(s.id, at, true)
  elseif not set_aside(s) then
    place(s.id, at)
  end
end

-- visit takes of subscriptions one delivery each in turn, as often as needed.
local function visit(ids)
  local round = { leases = {}, inflight = {}, full = {}, again = {} }
  local visited, share, failed = {}, math.ceil((want - #claimed) / #ids), {}
  local held = call('HMGET', lane .. 'inflight', unpack(ids))
  for _, id in ipairs(ids) do append(failed, tries_key(id), retry_key(id)) end
  local retried = call('EXISTS', unpack(failed)) > 0
  for i, id in ipairs(ids) do visited[#visited + 1] = look(id, share, held[i], retried, round) end
  for turn = 1, share do
    for _, s in ipairs(visited) do
      if s.due[turn] and #claimed < want and bytes < max_bytes and riding < RIDERS then lease(s, s.due[turn]) end
    end
  end
  for _, s in ipairs(visited) do leave(s, round) end
  if #round.leases > 0 then
    call('ZADD', leases, unpack(round.leases))
    call('HSET', lane .. 'inflight', unpack(round.inflight))
  end
  if #round.full > 0 then call('HSET', lane .. 'full', unpack(round.full)) end
  take_turns(round.again)
end

-- A round visits as many subscriptions as there are deliveries wanted, or all.
local visits = want * 4 + 100
while #claimed < want and bytes < max_bytes and riding < RIDERS and visits > 0 do
  local next = call('ZPOPMIN', runnable, math.min(want - #claimed, visits))
  if #next == 0 then break end
  visits = visits - #next / 2
  local ids = {}
  for i = 1, #next, 2 do ids[#ids + 1] = next[i] end
  visit(ids)
end

-- The token in wake says that there is something to do; after this look it is
-- known whether there is.
local events, deleted = call('LLEN', lane .. 'events'), call('SCARD', lane .. 'purge')
local more = call('ZCARD', runnable)
if events + deleted + more > 0 then
  wake()
else
  call('DEL', lane .. 'wake')
end

local soonest = -1
for _, key in ipairs({ waiting, leases, lane .. 'redelivering' }) do
  local score = call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  if score then
    local ms = math.max(0, math.ceil(tonumber(score) - at))
    if soonest < 0 or ms < soonest then soonest = ms end
  end
end
local oldest = call('ZRANGE', lane .. 'retained', 0, 0, 'WITHSCORES')[2]
local expired = oldest and tonumber(oldest) + tonumber(ARGV[8]) <= at and 1 or 0
table.insert(claimed, 1, { soonest, lapsed, let_go, events, deleted, more, expired,
  call('ZCOUNT', lane .. 'redelivering', '-inf', at) })
return claimed
