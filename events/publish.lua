-- publish puts events on the lane's lists, oldest at the right, and wakes a
-- worker if one of them can be dispatched. Without events it only proves that
-- the lane's lists can be used.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  how many of the elements go onto events; the rest goes onto parked
-- ARGV[2…] the elements, oldest first
-- result   how many parked elements had to go to make room, the oldest first
--
-- Anybody whose calls the API answers can have events parked, and nothing takes
-- them off but their caller becoming known or an operator: without a bound they
-- would fill Redis, and with it the way of everybody else's events.
--
-- LPUSH of several elements puts the first one rightmost, so their order holds.
-- A list is pushed in chunks: Lua's unpack is bounded by its stack.

local PARKED_LIMIT = 10000

local function push(list, from, to)
  for first = from, to, 1000 do
    redis.call('LPUSH', lane .. list, unpack(ARGV, first, math.min(first + 999, to)))
  end
end

local last = 1 + tonumber(ARGV[1])
push('events', 2, last)
push('parked', last + 1, #ARGV)
if last > 1 then wake() end
redis.call('LLEN', lane .. 'events') -- fails where something else stands in its place

local over = redis.call('LLEN', lane .. 'parked') - PARKED_LIMIT
if over <= 0 then return 0 end
redis.call('LTRIM', lane .. 'parked', 0, PARKED_LIMIT - 1)
return over
