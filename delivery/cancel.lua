-- cancel ends a redelivery. What it has put back already goes on; the rest stays
-- where it is.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock, ms
-- ARGV[2]  id of the job
-- result   1, or 0 where it has ended already or never was

local at = now(ARGV[1])
if not call('ZSCORE', lane .. 'redelivering', ARGV[2]) then return 0 end
call('HSET', lane .. 'redelivery:' .. ARGV[2], 'state', 'cancelled', 'ended_at', string.format('%.0f', at))
call('ZADD', lane .. 'redelivering', at, ARGV[2]) -- the next step cleans up
wake()
return 1
