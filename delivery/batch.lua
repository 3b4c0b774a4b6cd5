-- batch is the part of claim that makes batches. It stands before claim.lua, whose
-- arguments it reads, and keeps what both count: what is claimed, how many bytes and
-- riders that is, and how many deliveries were let go of.
--
-- s is a subscription as look in claim.lua makes it; its fields[5] is the order,
-- fields[12] tells that it has lines, and fields[16] that batches were made of it.

-- BATCH_BYTES is how much a batch holds, but for a single event, RIDERS how many
-- ride in the batches of a call, but for the last one.
local BATCH_BYTES, RIDERS = 1048576, 1000

local at, token = now(ARGV[1]), ARGV[6]
local claimed, let_go, bytes, riding = {}, 0, 0, 0

-- gather makes batches of what stands in a set, rows of {event, sequence, attempts}:
-- those that were made before, and new ones of the rest. A new one for which more
-- may come is last in it, if at all: it is answered as well.
local function gather(s, key, rows)
  local events, batches, open = {}, {}, nil
  for i, row in ipairs(rows) do events[i] = row[1] end
  local made = s.fields[16] and #rows > 0 and call('HMGET', batches_key(s.id), unpack(events)) or {}
  for i, row in ipairs(rows) do
    local size = made[i] and 0 or weight(row[1])
    if made[i] then
      batches[#batches + 1] = { row[1], row[2], row[3], key, made = true }
      if s.ordered then open = nil end -- nobody behind it may go before it
    elseif open and open.size + size <= BATCH_BYTES then
      table.insert(open.riders, { row[1], row[2], row[3], key })
      open.size = open.size + size
    else
      open = { row[1], row[2], row[3], key, riders = {}, size = size }
      batches[#batches + 1] = open
    end
    if open and #open.riders + 1 >= s.batch_max then open = nil end
  end
  return batches, open
end

-- news answers the batches of what was never tried. One for which more may come
-- stays there until the first in it has waited long enough, and of an ordered
-- subscription all that is behind it.
local function news(s, most)
  local limit, rows = math.max(math.floor(RIDERS / s.batch_max), 1) * s.batch_max, {}
  local queued = call('ZRANGE', queue_key(s.id), 0, math.min(most * s.batch_max, limit) - 1, 'WITHSCORES')
  for i = 1, #queued, 2 do
    rows[#rows + 1] = { queued[i], queued[i + 1], s.retried and recall(s.id, queued[i]) or '0' }
  end
  local batches, open = gather(s, queue_key(s.id), rows)
  if not open then return batches end
  local came = call('ZREVRANGEBYSCORE', marks_key(s.id), open[2], '-inf', 'LIMIT', 0, 1)[1]
  if not came or came + s.batch_within <= at then return batches end
  local ripe = {}
  for _, batch in ipairs(batches) do
    if batch ~= open then
      ripe[#ripe + 1] = batch
    elseif s.ordered then
      break
    end
  end
  return ripe
end

-- missing lets go of a delivery whose event is gone.
local function missing(s, event)
  forget(s.id, event)
  if s.fields[12] then s.gone[#s.gone + 1] = event end
  let_go = let_go + 1
end

-- waits_in_line tells whether a delivery is behind another of its resource, which
-- what was queued before that order was asked for learns here.
local function waits_in_line(s, event, sequence)
  return s.fields[5] == 'resource' and not is_head(s.id, event) and line_up(s.id, event, sequence, resource_of(event))
end

-- embark has riders join a head in a new batch, and answers the batch's name.
local function embark(s, head, riders)
  local words, scores, heads = { 'batch-' .. string.lower(token) .. '-' .. (#claimed + 1) }, {}, {}
  for _, rider in ipairs(riders) do
    s.taken[#s.taken + 1] = rider
    if call('HEXISTS', stored, rider[1]) == 0 then
      missing(s, rider[1])
    elseif not waits_in_line(s, rider[1], rider[2]) then
      words[#words + 1] = rider[1]
      scores[#scores + 1], scores[#scores + 2] = rider[2], rider[1]
      heads[#heads + 1], heads[#heads + 2] = rider[1], head
    end
  end
  if not s.fields[16] then call('HSET', subscription_key(s.id), 'batches', '1') end
  call('HSET', batches_key(s.id), head, table.concat(words, ' '))
  if #scores > 0 then
    call('ZADD', riders_key(s.id), unpack(scores))
    call('HSET', riding_key(s.id), unpack(heads))
  end
  return words[1]
end

-- board answers a batch as the sender needs it: its name, and of each rider event,
-- sequence, and how it is stored. Where no batches are made any more, one that was
-- is taken apart.
local function board(s, delivery)
  local head = delivery[1]
  if not s.batch_max then
    if s.fields[16] then scatter(s.id, head, at) end
    return nil
  end
  if not delivery.made then embark(s, head, delivery.riders) end
  local name, riders, sequences = batch_of(s.id, head)
  local answer = { name }
  for i, rider in ipairs(riders) do
    local element = fetch(rider)
    if element then
      answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = rider, sequences[i], element
      bytes = bytes + #element
    end
  end
  riding = riding + #riders
  return answer
end

-- tidy lets go of marks that say nothing of what is still queued.
local function tidy(s)
  local first = call('ZRANGE', queue_key(s.id), 0, 0, 'WITHSCORES')
  if not first[1] then
    call('DEL', marks_key(s.id))
    return
  end
  local came = call('ZREVRANGEBYSCORE', marks_key(s.id), first[2], '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if came[2] then call('ZREMRANGEBYSCORE', marks_key(s.id), '-inf', '(' .. came[2]) end
end

