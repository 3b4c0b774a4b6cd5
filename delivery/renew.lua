-- renew extends leases that are still held.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock, ms
-- ARGV[2]  ms for which a lease holds from now on
-- then     the leases
-- result   for each: 1 if it was held, 0 if it is lost

local at = now(ARGV[1])
local results = {}
for i = 3, #ARGV do
  local held = call('ZSCORE', lane .. 'leases', ARGV[i])
  if held then call('ZADD', lane .. 'leases', at + tonumber(ARGV[2]), ARGV[i]) end
  results[#results + 1] = held and 1 or 0
end
return results
