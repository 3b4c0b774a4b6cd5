-- job makes a redelivery, which redeliver then carries out in steps.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock, ms
-- ARGV[2]  id of the job
-- ARGV[3]  subscription
-- ARGV[4]  what: event, missed (all that has failed) or range
-- ARGV[5]  the event, or ''
-- ARGV[6]  and ARGV[7] the range that events must lie in, ms since 1970, or ''
-- ARGV[8]  ms since 1970 at which to begin, or ''
-- ARGV[9]  who asked: owner or operator
-- ARGV[10] unfinished jobs that a subscription may have
-- ARGV[11] jobs that the lane may have
-- ARGV[12] the lowest job id that is still of interest
-- result   created, existing (this very job was made before), missing (there is no
--          such subscription), not_kept (nor such an event), busy (the
--          subscription has as many jobs as are allowed) or full (the lane has)

local at, job, id, what, event = now(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local key, all, own = lane .. 'redelivery:' .. job, lane .. 'redeliveries', lane .. 'redeliveries:' .. id

if not exists(id) then return 'missing' end
if call('EXISTS', key) == 1 then return 'existing' end
if what == 'event' then
  local kept = window_of(id, event) ~= nil
  for _, set in ipairs({ dead_key(id), retry_key(id), queue_key(id), blocked_key(id), riders_key(id), tries_key(id) }) do
    kept = kept or call('ZSCORE', set, event)
  end
  if not kept then return 'not_kept' end
end
call('ZREMRANGEBYLEX', all, '-', '(' .. ARGV[12])
if call('SCARD', own) >= tonumber(ARGV[10]) then return 'busy' end
if call('ZCARD', all) >= tonumber(ARGV[11]) then return 'full' end

local starts = math.max(tonumber(ARGV[8]) or at, at)
local stamp = string.format('%.0f', at)
call('HSET', key, 'id', job, 'subscription', id, 'what', what, 'event', event, 'from', ARGV[6], 'to', ARGV[7],
  'by', ARGV[9], 'state', 'scheduled', 'created_at', stamp, 'starts_at', string.format('%.0f', starts),
  'cursor', '0', 'through', call('HGET', subscription_key(id), 'seq') or '0', 'done', '0', 'failed', '0')
call('ZADD', all, 0, job)
call('ZADD', lane .. 'redelivering', starts, job)
call('SADD', own, job)
wake()
return 'created'
