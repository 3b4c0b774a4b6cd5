-- backlog reads how much waits in a lane and for how long. It writes nothing,
-- and looks at a bounded number of subscriptions.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock, ms
-- ARGV[2]  subscriptions to look at, of those runnable and of those waiting
-- result   {events, parked, leases, runnable, waiting, deliveries of the
--           subscriptions looked at, 1 if those were all, ms the oldest has waited}

-- READ is how many bytes of events are read for their times.
local READ = 8388608

local at, sample = now(ARGV[1]), tonumber(ARGV[2])
-- A table, for the reason given in dispatch.
local found = { deliveries = 0, oldest = at, read = 0 }

local function age(when)
  if type(when) == 'number' then found.oldest = math.min(found.oldest, when) end
end

local function look(id)
  for _, key in ipairs({ blocked_key(id), windows_key(id), riders_key(id) }) do
    found.deliveries = found.deliveries + call('ZCARD', key)
  end
  for _, key in ipairs({ queue_key(id), retry_key(id) }) do
    found.deliveries = found.deliveries + call('ZCARD', key)
    local first = call('ZRANGE', key, 0, 0)[1]
    if first and found.read < READ then
      local when, size = happened(first)
      found.read = found.read + size
      age(when)
    end
  end
end

local last = call('LINDEX', lane .. 'events', -1)
if last then
  local ok, h = pcall(cjson.decode, string.match(last, '^[^\n]*'))
  age(ok and type(h) == 'table' and h.at)
end
local runnable, waiting = call('ZCARD', lane .. 'runnable'), call('ZCARD', lane .. 'waiting')
for _, key in ipairs({ 'runnable', 'waiting' }) do
  for _, id in ipairs(call('ZRANGE', lane .. key, 0, sample - 1)) do look(id) end
end
return { call('LLEN', lane .. 'events'), call('LLEN', lane .. 'parked'), call('ZCARD', lane .. 'leases'),
  runnable, waiting, found.deliveries, (runnable <= sample and waiting <= sample) and 1 or 0, at - found.oldest }
