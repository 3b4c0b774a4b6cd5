-- What every script of hookproxy shares. It stands before each of them.
--
-- KEYS[1]  the lane's prefix, "hookproxy:{0}:"; all other keys are built from it
--
-- A subscription with work stands where `place` puts it, and nowhere else does
-- a script write to runnable or waiting, but for claim, which takes from them.

-- call is redis.call, which would be looked up by name at each of its many uses.
local lane, call = KEYS[1], redis.call

local function subscription_key(id) return lane .. 'subscription:' .. id end
local stored, shares, broken = lane .. 'stored', lane .. 'shares', lane .. 'broken'
local function queue_key(id) return lane .. 'queue:' .. id end
local function retry_key(id) return lane .. 'retry:' .. id end
local function tries_key(id) return lane .. 'tries:' .. id end
local function dead_key(id) return lane .. 'dead:' .. id end
local function heads_key(id) return lane .. 'heads:' .. id end
local function blocked_key(id) return lane .. 'blocked:' .. id end
local function windows_key(id) return lane .. 'windows:' .. id end
local function latest_key(id) return lane .. 'latest:' .. id end
local function batches_key(id) return lane .. 'batches:' .. id end
local function riders_key(id) return lane .. 'riders:' .. id end
local function riding_key(id) return lane .. 'riding:' .. id end
local function marks_key(id) return lane .. 'marks:' .. id end
local function line_key(id, resource) return lane .. 'line:' .. id .. ':' .. resource end

-- now answers Redis' time in ms, moved by an offset that is zero but in tests.
local function now(offset)
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000) + tonumber(offset or 0)
end

-- digits answers a whole number as a text. Lua's own way, by which numbers are
-- handed to Redis, is meant for fractions and costs several times as much.
local function digits(n) return string.format('%d', n) end

-- wake leaves the token that one waiting process takes, unless it is there.
local function wake()
  if call('LLEN', lane .. 'wake') == 0 then
    call('LPUSH', lane .. 'wake', '1')
  end
end

-- seen marks an event as dispatched for 24 h. While the event itself is there
-- it needs no mark, and a backlog of a million no million marks.
local function seen(event) call('SET', lane .. 'seen:' .. event, '1', 'EX', 86400) end

-- fetch answers an event as it is stored: a header, a newline, and the payload;
-- or false. weight is its size in bytes, without reading it.
local function fetch(event) return call('HGET', stored, event) end
local function weight(event) return call('HSTRLEN', stored, event) end

-- happened answers when an event did, in ms, or nil; and how much was read for it.
local function happened(event)
  local element = fetch(event) or ''
  local ok, h = pcall(cjson.decode, string.match(element, '^[^\n]*'))
  return ok and type(h) == 'table' and tonumber(h[3]) or nil, #element
end

-- release lets go of an event for one delivery; the last one frees it. Only
-- where several refer to it does shares say how many. One whose dispatch broke
-- off is not marked as seen: it may come again for the rest.
local function release(event)
  local refs = tonumber(call('HGET', shares, event) or '')
  if refs and refs > 1 then
    call('HINCRBY', shares, event, -1)
    return
  end
  local freed = call('HDEL', stored, event)
  if refs then
    call('HDEL', shares, event)
    if call('HEXISTS', broken, event) == 1 then return end
  end
  if freed == 1 then seen(event) end
end

-- release_all releases events, each of them for as many deliveries as it stands
-- here. It reads and writes once for all of them what release does for each. Where
-- one was not stored, which may be one whose dispatch broke off, none is marked as
-- seen: rather twice than never.
local function release_all(events)
  if #events == 0 then return end
  local refs, alone, before = call('HMGET', shares, unpack(events)), {}, {}
  for i, event in ipairs(events) do
    if refs[i] or before[event] then release(event) else alone[#alone + 1] = event end
    before[event] = true
  end
  if #alone > 0 and call('HDEL', stored, unpack(alone)) == #alone then
    for _, event in ipairs(alone) do seen(event) end
  end
end

-- abandon releases an event for a subscription that is there and no longer waits
-- for it. bytes of a subscription's HASH counts those of all that it waits for or
-- has in flight; dead letters are not among them.
local function abandon(id, event)
  call('HINCRBY', subscription_key(id), 'bytes', -weight(event))
  release(event)
end

-- news_at answers from when on the first of a subscription's queue may be taken, or
-- nil where there is none. Where batches are made of it (of most deliveries), that is
-- once there are enough, once the first has waited for so many ms, or at once where
-- it has been in a batch before. marks tells when sequences came; without a mark it
-- is long ago.
local function news_at(id, at, most, within)
  if not most then return call('EXISTS', queue_key(id)) == 1 and at or nil end
  local first = call('ZRANGE', queue_key(id), 0, 0, 'WITHSCORES')
  if not first[1] then return nil end
  if call('ZCARD', queue_key(id)) >= most or call('HEXISTS', batches_key(id), first[1]) == 1 then return at end
  local mark = call('ZREVRANGEBYSCORE', marks_key(id), first[2], '-inf', 'LIMIT', 0, 1)[1]
  return mark and mark + within or at
end

-- place puts a subscription where its state says: runnable if something of it
-- is due, waiting if something is to come, nowhere if it is empty, inactive or
-- gone. Before its resume_at nothing of a subscription is due: its breaker is
-- open, its target asked for a pause, or its rate is used up. Place does not
-- look at the cap on deliveries in flight; claim does, and drops a subscription
-- at its cap, which finish then places again. With news_only it does not look at
-- retries either: there is no room for them.
-- Answers whether it is runnable.
local function place(id, at, news_only)
  local state = call('HMGET', subscription_key(id), 'active', 'resume_at', 'windows', 'batch_max', 'batch_within')
  local due, score = false, nil
  if state[1] == '1' then
    local first = news_only and {} or call('ZRANGE', retry_key(id), 0, 0, 'WITHSCORES')
    score = first[2] and tonumber(first[2])
    local news = (not score or score > at) and news_at(id, at, tonumber(state[4] or ''), tonumber(state[5] or ''))
    if news then score = math.min(score or math.huge, news) end
    local window = state[3] and call('ZRANGE', windows_key(id), 0, 0, 'WITHSCORES')[2]
    if window then score = math.min(score or math.huge, tonumber(window)) end
    if score then score = math.max(score, tonumber(state[2] or '') or 0) end
    due = score ~= nil and score <= at
  end
  if due then
    call('ZREM', lane .. 'waiting', id)
    if not call('ZSCORE', lane .. 'runnable', id) then
      call('ZADD', lane .. 'runnable', call('INCR', lane .. 'turn'), id)
    end
    return true
  end
  call('ZREM', lane .. 'runnable', id)
  if score then
    call('ZADD', lane .. 'waiting', score, id)
  else
    call('ZREM', lane .. 'waiting', id)
  end
  return false
end

-- take_turns makes subscriptions runnable of which all is known that place asks for:
-- each has something due and stands nowhere, or in runnable already.
local function take_turns(ids)
  if #ids == 0 then return end
  local last, turns = call('INCRBY', lane .. 'turn', #ids), {}
  for i, id in ipairs(ids) do
    turns[#turns + 1] = digits(last - #ids + i)
    turns[#turns + 1] = id
  end
  call('ZADD', lane .. 'runnable', 'NX', unpack(turns))
end

-- exists tells whether a subscription is still there. A script that writes to a
-- subscription's keys asks first, lest it bring a deleted one back in part.
local function exists(id) return call('EXISTS', subscription_key(id)) == 1 end

-- hold puts a delivery into one of its subscription's sets, with the share in
-- the event that it brings along. Where the same delivery stands there already,
-- one share is enough.
local function hold(key, score, event)
  if call('ZADD', key, 'NX', score, event) == 0 then release(event) end
end

-- remember keeps what the retry and dead sets have no room for: a score of the
-- sequence and, as 1024ths, the attempts. So what has failed can be read in the
-- order of its sequences. Written out, since Lua would round it.
local function remember(id, event, tries, sequence)
  call('ZADD', tries_key(id), string.format('%.10f', tonumber(sequence) + math.min(tonumber(tries), 1023) / 1024), event)
end

-- unpack_tries answers the attempts and the sequence in a score of tries, as texts.
local function unpack_tries(score)
  local sequence = math.floor(tonumber(score))
  return string.format('%.0f', (tonumber(score) - sequence) * 1024), string.format('%.0f', sequence)
end

-- recall answers what remember kept: attempts, sequence, or nil for both.
local function recall(id, event)
  local score = call('ZSCORE', tries_key(id), event)
  if score then return unpack_tries(score) end
  return nil
end

-- forget lets go of what remember kept of an event, or of several.
local function forget(id, ...) call('ZREM', tries_key(id), ...) end

-- A lease is a member of leases: subscription|event|sequence|attempts|token.
-- The token is new with each claim, so that a member tells one holder from the next.
local function lease_parts(member)
  return string.match(member, '^([^|]+)|([^|]+)|(%d+)|(%d+)|([^|]+)$')
end

-- unlease counts one lease of a subscription less.
local function unlease(id)
  if call('HINCRBY', lane .. 'inflight', id, -1) <= 0 then
    call('HDEL', lane .. 'inflight', id)
  end
end

-- put_back returns a delivery from where it was taken, without an attempt more:
-- into the queue at its place, or into the retries, due at once. Of an ordered
-- subscription, one that has failed goes back to its place in the queue as well.
local function put_back(id, event, sequence, tries, at)
  if tonumber(tries) == 0 or call('HGET', subscription_key(id), 'ordered') == '1' then
    hold(queue_key(id), sequence, event)
  else
    hold(retry_key(id), at, event)
  end
end

-- Order by resource. Of each resource one delivery, its head, stands in the queue
-- or among the retries, or is in flight. The others are blocked: they stand in the
-- resource's line, which nobody looks at until its head has come to its end. So a
-- claim never meets them, however many they are. heads knows the head of each
-- resource, as r:<digest>, and the resource of each head, as e:<event>.

-- resource_key tells one resource from another in keys; nil where there is none.
local function resource_key(resource)
  if type(resource) ~= 'string' or resource == '' then return nil end
  return string.sub(redis.sha1hex(resource), 1, 20)
end

-- resource_of answers the resource_key of a stored event.
local function resource_of(event)
  local ok, h = pcall(cjson.decode, string.match(fetch(event) or '', '^[^\n]*'))
  return ok and type(h) == 'table' and resource_key(h[2]) or nil
end

local function is_head(id, event) return call('HEXISTS', heads_key(id), 'e:' .. event) == 1 end

-- line_up answers whether a delivery is blocked by another of its resource, and if
-- so puts it into the line; else it is the head from now on.
local function line_up(id, event, sequence, resource)
  if not resource then return false end
  call('HSET', subscription_key(id), 'lines', '1')
  if call('HSETNX', heads_key(id), 'r:' .. resource, event) == 1 then
    call('HSET', heads_key(id), 'e:' .. event, resource)
    return false
  end
  if is_head(id, event) then return false end
  call('ZADD', blocked_key(id), sequence, event)
  call('ZADD', line_key(id, resource), sequence, event)
  return true
end

-- advance lets the next of a resource go, once its head has come to its end. What
-- is no head it leaves alone.
local function advance(id, event, at)
  local resource = call('HGET', heads_key(id), 'e:' .. event)
  if not resource then return end
  call('HDEL', heads_key(id), 'e:' .. event)
  local next = call('ZPOPMIN', line_key(id, resource))
  if not next[1] then
    call('HDEL', heads_key(id), 'r:' .. resource)
    return
  end
  call('HSET', heads_key(id), 'r:' .. resource, next[1], 'e:' .. next[1], resource)
  call('ZREM', blocked_key(id), next[1])
  put_back(id, next[1], next[2], recall(id, next[1]) or '0', at)
end

-- unblock takes a delivery out of its line; it answers whether it stood there.
local function unblock(id, event)
  if call('ZREM', blocked_key(id), event) == 0 then return false end
  local resource = resource_of(event)
  if resource then call('ZREM', line_key(id, resource), event) end
  return true
end

-- Debounce. An event that waits for later ones stands in a window, which is of one
-- resource and event name, and ends a fixed time after its first event. latest
-- knows the event that is left of each. When a window ends, that one is queued like
-- any other, and only then gets a sequence: none is given to what is replaced.

-- ripen queues what is left of windows, and answers the last sequence given.
local function ripen(id, windows, sequence, by_resource)
  for _, window in ipairs(windows) do
    local event = call('HGET', latest_key(id), window)
    if event then
      sequence = sequence + 1
      if not (by_resource and line_up(id, event, sequence, string.match(window, '^[^:]+'))) then
        hold(queue_key(id), sequence, event)
      end
      call('HDEL', latest_key(id), window)
    end
    call('ZREM', windows_key(id), window)
  end
  return sequence
end

-- ended answers windows whose time is over, the first one first.
local function ended(id, at) return call('ZRANGEBYSCORE', windows_key(id), '-inf', at, 'LIMIT', 0, 500) end

-- window_of answers the window that an event waits in, or nil.
local function window_of(id, event)
  if call('EXISTS', windows_key(id)) == 0 then return nil end
  local ok, h = pcall(cjson.decode, string.match(fetch(event) or '', '^[^\n]*'))
  local resource = ok and type(h) == 'table' and resource_key(h[2])
  local window = resource and resource .. ':' .. h[1]
  return window and call('HGET', latest_key(id), window) == event and window or nil
end

-- close takes a window away, and answers the event that was left of it, or false.
local function close(id, window)
  local event = call('HGET', latest_key(id), window)
  call('HDEL', latest_key(id), window)
  call('ZREM', windows_key(id), window)
  return event
end

-- Batches. A batch is a delivery, its head, with which others ride: they stand in no
-- other set than riders, wait for its retry and come to the end that it comes to.
-- batches knows of each head the name of the batch and who rides with it, and riding
-- the head of each rider. None ever joins a batch that was made, so that a name says
-- the same at each attempt, whatever happens to whoever makes them.

-- batch_of answers the name of the batch that a delivery heads, its riders and their
-- sequences; or nil.
local function batch_of(id, head)
  local kept = call('HGET', batches_key(id), head)
  if not kept then return nil end
  local words = {}
  for word in string.gmatch(kept, '%S+') do words[#words + 1] = word end
  local name, riders, sequences = table.remove(words, 1), {}, {}
  for i, sequence in ipairs(#words > 0 and call('ZMSCORE', riders_key(id), unpack(words)) or {}) do
    if sequence then riders[#riders + 1], sequences[#sequences + 1] = words[i], sequence end
  end
  return name, riders, sequences
end

-- disband takes a batch apart, and answers its riders, which then stand nowhere, and
-- their sequences.
local function disband(id, head)
  local name, riders, sequences = batch_of(id, head)
  if not name then return {}, {} end
  call('HDEL', batches_key(id), head)
  if #riders > 0 then
    call('ZREM', riders_key(id), unpack(riders))
    call('HDEL', riding_key(id), unpack(riders))
  end
  return riders, sequences
end

-- scatter takes a batch apart whose head has left it. Each rider stands for itself.
local function scatter(id, head, at)
  local riders, sequences = disband(id, head)
  for i, rider in ipairs(riders) do put_back(id, rider, sequences[i], recall(id, rider) or '0', at) end
end

-- alight takes one rider out of its batch, unless that is in flight.
local function alight(id, rider)
  local head = call('HGET', riding_key(id), rider)
  if not head or not (call('ZSCORE', queue_key(id), head) or call('ZSCORE', retry_key(id), head)) then return false end
  call('HDEL', riding_key(id), rider)
  return call('ZREM', riders_key(id), rider) == 1
end

-- mark notes when sequences came to a subscription that batches are made of. More
-- than a thousand are never of use: a batch holds no more.
local function mark(id, sequence, at)
  call('ZADD', marks_key(id), 'NX', sequence, string.format('%.0f', at))
  call('ZREMRANGEBYRANK', marks_key(id), 0, -1001)
end
