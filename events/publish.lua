-- publish puts events on the lane's lists, oldest at the right, and wakes a
-- worker if one of them can be dispatched. Without events it only proves that
-- the lane's lists can be used.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  how many of the elements go onto events; the rest goes onto parked
-- ARGV[2…] the elements, oldest first
-- result   the lengths of both lists: {events, parked}
--
-- LPUSH of several elements puts the first one rightmost, so their order holds.
-- A list is pushed in chunks: Lua's unpack is bounded by its stack.

local function push(list, from, to)
  for first = from, to, 1000 do
    redis.call('LPUSH', lane .. list, unpack(ARGV, first, math.min(first + 999, to)))
  end
end

local last = 1 + tonumber(ARGV[1])
push('events', 2, last)
push('parked', last + 1, #ARGV)
if last > 1 then wake() end
return {redis.call('LLEN', lane .. 'events'), redis.call('LLEN', lane .. 'parked')}
