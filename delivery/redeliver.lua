-- redeliver does one bounded step of the redelivery that is due first.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock, ms
-- ARGV[2]  deliveries of a job that may wait at once
-- ARGV[3]  deliveries to look at in one step
-- ARGV[4]  ms between two steps, and ARGV[5] at most, where nothing moves
-- ARGV[6]  ms for which a job is remembered after its end
-- result   {redelivered, jobs that are due}
--
-- Live traffic comes first. What is redelivered stands among the retries, with
-- one attempt behind it: it alternates with the subscription's news, and takes no
-- more than the share of the workers that retries have. And a job never has more
-- than so many waiting; the rest stays where it is, and can be cancelled.
--
-- A job's field cursor is the sequence up to which it has looked, through the one
-- at which it ends, so that it never meets what failed after it was made. What it
-- has put back stands in redelivered:<job>, with the attempts it had then, until
-- the next attempt has been made. All that a step does it does at once: whoever
-- does the next one goes on there.

-- READ is how many bytes of events one step reads for their times.
local READ = 8388608

local at = now(ARGV[1])
local window, look, step, longest, kept = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local jobs = lane .. 'redelivering'

local job = call('ZRANGEBYSCORE', jobs, '-inf', at, 'LIMIT', 0, 1)[1]
if not job then return { 0, 0 } end
local key, out_key = lane .. 'redelivery:' .. job, lane .. 'redelivered:' .. job
local fields = call('HMGET', key, 'subscription', 'what', 'event', 'from', 'to', 'state', 'cursor', 'through', 'scanned', 'wait')
local id, what = fields[1], fields[2]
local from, to = tonumber(fields[4] or ''), tonumber(fields[5] or '')
local cursor, scanned = fields[7], fields[9] == '1'
local moved, ended, out, looked, read = 0, 0, 0, 0, 0

local by_resource = id and call('HGET', subscription_key(id), 'ordered') == 'resource'

local function due() return call('ZCOUNT', jobs, '-inf', at) end

local function finish(state)
  call('HSET', key, 'state', state)
  call('HSETNX', key, 'ended_at', string.format('%.0f', at))
  call('PEXPIRE', key, kept)
  call('DEL', out_key)
  call('ZREM', jobs, job)
  call('SREM', lane .. 'redeliveries:' .. (id or ''), job)
end

-- settle counts those put back whose next attempt has been made: they are gone
-- from tries, or have an attempt more.
local function settle()
  local put_back_then = call('HGETALL', out_key)
  if #put_back_then == 0 then return end
  local events = {}
  for i = 1, #put_back_then, 2 do events[#events + 1] = put_back_then[i] end
  local scores, failed = call('ZMSCORE', tries_key(id), unpack(events)), 0
  for i, event in ipairs(events) do
    local tries = scores[i] and unpack_tries(scores[i])
    if tries and tonumber(tries) <= tonumber(put_back_then[2 * i]) then
      out = out + 1
    else
      call('HDEL', out_key, event)
      ended, failed = ended + 1, failed + (tries and 1 or 0)
    end
  end
  call('HINCRBY', key, 'done', ended)
  call('HINCRBY', key, 'failed', failed)
end

-- wanted tells whether an event lies in the range, if there is one.
local function wanted(event)
  if what ~= 'range' then return true end
  local at, size = happened(event)
  read = read + size
  return at ~= nil and at >= from and at <= to
end

-- again puts one delivery back: a dead letter with one attempt behind it, and what
-- was to be tried again at once with those that it had.
local function again(event)
  local tries, sequence = recall(id, event)
  local head = call('HGET', riding_key(id), event) or event -- a batch is sent as a whole
  if call('ZREM', dead_key(id), event) == 1 then
    tries = '1'
    call('HINCRBY', subscription_key(id), 'bytes', weight(event))
    sequence = sequence or call('HINCRBY', subscription_key(id), 'seq', 1)
    remember(id, event, tries, sequence)
    if not (by_resource and line_up(id, event, sequence, resource_of(event))) then put_back(id, event, sequence, tries, at) end
  elseif tries and call('ZSCORE', retry_key(id), head) then
    call('ZADD', retry_key(id), 'XX', at, head)
  else
    return -- it waits already, or is in flight
  end
  call('HSET', out_key, event, tries)
  moved, out = moved + 1, out + 1
end

-- scan goes on where the last step stopped.
local function scan()
  if what == 'event' then
    again(fields[3])
    if moved == 0 then call('HINCRBY', key, 'done', 1) end -- somebody else's doing
    scanned = true
    return
  end
  local rows = call('ZRANGEBYSCORE', tries_key(id), string.format('%.0f', tonumber(cursor) + 1),
    '(' .. string.format('%.0f', tonumber(fields[8]) + 1), 'LIMIT', 0, look, 'WITHSCORES')
  for i = 1, #rows, 2 do
    if out >= window or read > READ then return end
    local _, sequence = unpack_tries(rows[i + 1])
    cursor, looked = sequence, looked + 1
    if wanted(rows[i]) then again(rows[i]) end
  end
  scanned = #rows < 2 * look
end

if not id or not exists(id) or fields[6] == 'cancelled' then
  finish('cancelled')
  return { 0, due() }
end
settle()
if not scanned and out <= window / 2 then scan() end
if call('EXISTS', dead_key(id)) == 0 then call('ZREM', lane .. 'retained', id) end

local wait = step
if moved + ended == 0 and out > 0 then wait = math.min(2 * (tonumber(fields[10] or '') or step), longest) end
if (looked == look or read > READ) and out <= window / 2 then wait = 0 end
call('HSET', key, 'state', 'running', 'cursor', cursor, 'scanned', scanned and '1' or '0', 'wait', math.max(wait, step))
if fields[6] == 'scheduled' then call('HSET', key, 'started_at', string.format('%.0f', at)) end
if scanned and out == 0 then
  finish('done')
else
  call('ZADD', jobs, at + wait, job)
end
if place(id, at) and moved > 0 then wake() end
return { moved, due() }
