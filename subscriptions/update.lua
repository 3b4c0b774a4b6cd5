-- update writes what its owner may change of a subscription. A change of events
-- moves it from set to set. Only a change of active touches its failure state
-- and its place among those with work: an owner who edits a subscription that
-- fails has not repaired it, and one who edits one that is inactive by failure
-- has not paused it. Another target must confirm anew; nothing else makes up for
-- that.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock in ms
-- ARGV[2]  id
-- ARGV[3]  user
-- ARGV[4]  the etag that it must have, or '' for whatever it has
-- then     field, value … of event, format, target_url, active, description,
--          metadata, expires_at, signature, headers and options; what is left
--          out stays. confirm counts where the target changes (see create)
-- result   {updated, values of FIELDS}, or {word}: missing, where the user has
--          no such subscription; conflict, where it has another etag; duplicate,
--          where another sends these events to this target

local id, user, expected = ARGV[2], ARGV[3], ARGV[4]
local before = load(id)
if before.id == '' or before.user ~= user then return { 'missing' } end
if expected ~= '' and expected ~= etag(before) then return { 'conflict' } end

local changes = given(5)
local after = {}
for field, value in pairs(before) do after[field] = changes[field] or value end
local pending, moved = before.inactive_reason == 'unconfirmed', after.target_url ~= before.target_url
if pending then
  after.active = before.active -- its target decides that, not its owner
end
if not moved then changes.confirm = nil end
local rival = redis.call('HGET', targets_key(user), digest(after))
if rival and rival ~= id and exists(rival) then return { 'duplicate' } end

local clock = now(ARGV[1])
local at = math.max(clock, tonumber(before.created_at)) -- a clock set back must not show
changes.active = nil
changes.updated_at = string.format('%.0f', at)
if before.active ~= '1' and before.inactive_since == '' then
  -- Whoever made it inactive for failing wrote no more than updated_at, which moves now.
  changes.inactive_since = before.updated_at
end
write(id, changes)
if expiring_member(after) ~= expiring_member(before) or after.expires_at ~= before.expires_at then
  leave(before)
  join(after)
end
if after.max_rate ~= before.max_rate then redis.call('HDEL', subscription_key(id), 'rate_at') end
if moved and changes.confirm ~= '' then
  -- What an earlier target confirmed keeps its events, as one that is paused does.
  if not pending then
    local inactive = before.inactive_reason ~= '' and before.inactive_reason or 'owner'
    write(id, { once_confirmed = after.active == '1' and '' or inactive })
    deactivate(id, clock, 'unconfirmed')
  end
elseif moved and pending then
  settle(after, clock)
elseif after.active ~= before.active then
  if after.active == '1' then activate(id, clock) else deactivate(id, clock, 'owner') end
elseif place(id, clock) then
  wake() -- what was held back by an option may be due without it
end
return answer('updated', id)
