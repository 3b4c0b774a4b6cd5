-- allow counts one more of something, of which there may be only so many in a
-- window of time.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  what is counted
-- ARGV[2]  how many there may be
-- ARGV[3]  the window in ms, which begins with the first
-- result   0, or ms until there may be more

local key = lane .. 'rate:' .. ARGV[1]
local count = redis.call('INCR', key)
if count == 1 then redis.call('PEXPIRE', key, ARGV[3]) end
if count <= tonumber(ARGV[2]) then return 0 end
return math.max(1, redis.call('PTTL', key))
