-- switch has a subscription delivered to, or kept from it, whosever it is.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock in ms
-- ARGV[2]  id
-- ARGV[3]  1 for active, 0 for not
-- result   {switched, values of FIELDS}, also where it was so already; or {word}:
--          missing, or pending (its target decides)

local id = ARGV[2]
local s = load(id)
if s.id == '' then return { 'missing' } end
if s.inactive_reason == 'unconfirmed' then return { 'pending' } end
local at = now(ARGV[1])
if (s.active == '1') ~= (ARGV[3] == '1') then
  write(id, { updated_at = string.format('%.0f', math.max(at, tonumber(s.created_at))) })
  if ARGV[3] == '1' then activate(id, at) else deactivate(id, at, 'operator') end
end
return answer('switched', id)
