-- missed reads what a subscription has not had delivered, in the order of its
-- sequences: what waits, what is in flight, what is to be tried again, and what
-- was given up. It writes nothing, and its work is bounded.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock, ms
-- ARGV[2]  subscription
-- ARGV[3]  sequence after which to begin
-- ARGV[4]  deliveries wanted
-- ARGV[5]  bytes of payload after which to stop; 0 for no payloads at all
-- ARGV[6]  1 for those alone that were given up
-- result   {1 if there are more, sequence up to which was looked, 1 if the
--           subscription rests now,
--           {event, sequence, attempts, state, ms when given up or due or 0,
--            event as it is stored, but for the payload where none are wanted} ...}
-- state    waiting, in_flight, retrying or dead
--
-- What is in flight belongs here: were it left out, a receiver that goes on after
-- the last sequence it was shown would never hear of it, should it fail.

-- LOOK bounds how many that have failed are looked at for those given up, LEASES
-- how many leases of the lane for those of this subscription, and READ how many
-- bytes of events are read.
local LOOK, LEASES, READ = 1000, 10000, 8388608

local at, id = now(ARGV[1]), ARGV[2]
local want, max_bytes, dead_only = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
local from = string.format('%.0f', tonumber(ARGV[3]) + 1)
local found, known = {}, {}

local function add(event, sequence, tries)
  if known[event] then return end
  known[event] = true
  found[#found + 1] = { event = event, sequence = tonumber(sequence), tries = tries }
end

-- One more than wanted of each tells whether there are more.
local failed = call('ZRANGEBYSCORE', tries_key(id), from, '+inf', 'LIMIT', 0, dead_only and LOOK or want + 1, 'WITHSCORES')
local dead = {}
if dead_only and #failed > 0 then
  local events = {}
  for i = 1, #failed, 2 do events[#events + 1] = failed[i] end
  dead = call('ZMSCORE', dead_key(id), unpack(events))
end
local looked = ARGV[3]
for i = 1, #failed, 2 do
  local tries, sequence = unpack_tries(failed[i + 1])
  if not dead_only or dead[(i + 1) / 2] then add(failed[i], sequence, tries) end
  looked = sequence
end

if not dead_only then
  for _, key in ipairs({ queue_key(id), blocked_key(id), riders_key(id) }) do
    local queued = call('ZRANGEBYSCORE', key, from, '+inf', 'LIMIT', 0, want + 1, 'WITHSCORES')
    for i = 1, #queued, 2 do add(queued[i], queued[i + 1], '0') end
  end
  if call('HEXISTS', lane .. 'inflight', id) == 1 then
    for _, member in ipairs(call('ZRANGE', lane .. 'leases', 0, LEASES - 1)) do
      local subscription, event, sequence, tries = lease_parts(member)
      if subscription == id and tonumber(sequence) >= tonumber(from) then add(event, sequence, tries) end
    end
  end
end
table.sort(found, function(a, b) return a.sequence < b.sequence end)

-- state answers where a delivery stands, and since or until when. Who rides in a
-- batch stands where its head does.
local function state(event)
  event = call('HGET', riding_key(id), event) or event
  local score = call('ZSCORE', dead_key(id), event)
  if score then return 'dead', score end
  score = call('ZSCORE', retry_key(id), event)
  if score then return 'retrying', score end
  if call('ZSCORE', queue_key(id), event) or call('ZSCORE', blocked_key(id), event) then return 'waiting', '0' end
  return 'in_flight', '0'
end

local rows, bytes, read, more = {}, 0, 0, dead_only and #failed == 2 * LOOK
for i, one in ipairs(found) do
  if i > want or read > READ or (max_bytes > 0 and bytes >= max_bytes) then
    more = true
    break
  end
  local element = fetch(one.event) or ''
  read = read + #element
  if max_bytes == 0 then element = string.match(element, '^[^\n]*\n?') end
  local where, when = state(one.event)
  rows[i] = { one.event, string.format('%.0f', one.sequence), one.tries, where, when, element }
  bytes = bytes + #element
end
if #rows > 0 and (#rows < #found or not dead_only) then looked = rows[#rows][2] end
local rests = (tonumber(call('HGET', subscription_key(id), 'resume_at') or '') or 0) > at
return { more and 1 or 0, looked, rests and 1 or 0, unpack(rows) }
