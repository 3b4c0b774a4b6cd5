-- claim puts one parked element into the place of another, which is the same event
-- with somebody to go to. Of several who try, one succeeds.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  the parked element, byte for byte
-- ARGV[2]  what it becomes
-- result   1, or 0 where the element is not parked here (any more)

local at = redis.call('LPOS', lane .. 'parked', ARGV[1])
if not at then return 0 end
redis.call('LSET', lane .. 'parked', at, ARGV[2])
return 1
