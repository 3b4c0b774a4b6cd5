-- rotate gives a subscription a new secret, and keeps the old one for a while,
-- in which deliveries are to be signed with both.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock in ms
-- ARGV[2]  id
-- ARGV[3]  user
-- ARGV[4]  the etag that it must have, or '' for whatever it has
-- ARGV[5]  the new secret, as it is kept
-- ARGV[6]  ms for which the old one still counts; 0 for not at all
-- result   {rotated, values of FIELDS}, or {word}: missing, conflict (see update)

local id, user, expected = ARGV[2], ARGV[3], ARGV[4]
local before = load(id)
if before.id == '' or before.user ~= user then return { 'missing' } end
if expected ~= '' and expected ~= etag(before) then return { 'conflict' } end

local at, overlap = now(ARGV[1]), tonumber(ARGV[6])
write(id, {
  secret = ARGV[5],
  previous_secret = overlap > 0 and before.secret or '',
  previous_secret_until = overlap > 0 and string.format('%.0f', at + overlap) or '',
  updated_at = string.format('%.0f', math.max(at, tonumber(before.created_at))),
})
return answer('rotated', id)
