-- release lets parked elements go, and puts events in their place.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  the parked element, byte for byte
-- ARGV[2]  what goes onto events in its place, or nothing if that stands in
--          another lane
-- result   1, or 0 where the element is not parked here (any more); then nothing
--          is put in its place
--
-- Whoever comes first releases an element: it leaves parked in the same step in
-- which the event comes onto the list. New elements stand at the left, where
-- LREM begins to look.

if redis.call('LREM', lane .. 'parked', 1, ARGV[1]) == 0 then return 0 end
if ARGV[2] then
  redis.call('LPUSH', lane .. 'events', ARGV[2])
  wake()
end
return 1
