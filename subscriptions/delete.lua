-- delete ends a subscription at once.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  id
-- ARGV[2]  user, or '' for whoever owns it
-- ARGV[3]  the etag that it must have, or '' for whatever it has
-- result   deleted, missing (the user has no such subscription), or conflict
--          (it has another etag)

local id, user, expected = ARGV[1], ARGV[2], ARGV[3]
local s = load(id)
if s.id == '' or (user ~= '' and user ~= s.user) then return 'missing' end
if expected ~= '' and expected ~= etag(s) then return 'conflict' end
leave(s)
bury(id)
return 'deleted'
