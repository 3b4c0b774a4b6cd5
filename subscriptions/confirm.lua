-- confirm makes of a pending subscription what it is to be, once its target has
-- shown the secret. One that is confirmed already stays as it is.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock in ms
-- ARGV[2]  id
-- ARGV[3]  user
-- ARGV[4]  the digest that it must wait for: which the caller has compared
-- result   {confirmed, values of FIELDS}, or {word}: missing (see update), or
--          conflict, where it waits for another by now

local id, user = ARGV[2], ARGV[3]
local s = load(id)
if s.id == '' or s.user ~= user then return { 'missing' } end
if s.confirm ~= ARGV[4] then return { 'conflict' } end
if s.inactive_reason == 'unconfirmed' then
  local at = now(ARGV[1])
  write(id, { updated_at = string.format('%.0f', math.max(at, tonumber(s.created_at))) })
  settle(s, at)
end
return answer('confirmed', id)
