-- create stores a subscription and makes it a member of its sets, unless there
-- is one like it or there are as many as are allowed. A repetition of the same
-- create, which a lost answer may cause, changes nothing.
--
-- Where the user has these events sent to this target already, that subscription
-- is the answer. It ends when the new request says, and comes back to life if it
-- had failed: whoever asks for it again is there. One that its owner paused
-- stays paused. One that is pending has been asked again: it is confirmed now, or
-- waits for the newer secret.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock in ms
-- ARGV[2]  id
-- ARGV[3]  how many subscriptions the user may have
-- ARGV[4]  how many the lane may have
-- ARGV[5]  name of the idempotency key, the user in it, or ''
-- ARGV[6]  digest of the request, for the same key with another
-- ARGV[7]  seconds for which the key is remembered
-- ARGV[8]  ask, to change nothing where there is such a subscription already;
--          look, to change nothing at all;
--          renew, to make nothing that there is not and confirm nothing that is
--          pending: its target was not asked; or ''
-- ARGV[9]  ms for which the target may take to confirm
-- then     field, value … with user, event, format, target_url, active, secret,
--          description, metadata, expires_at, signature, headers, and confirm: the
--          digest of what the target has to send back before it gets events, or ''
-- result   {word, values of FIELDS}: created, existing, replayed or ask (there
--          is one already, which stays as it is)
--          {word}: new (there is none), conflict (renew cannot answer it),
--          user_limit, total_limit, reused (the key, with another request) or
--          spent (the key, whose subscription is gone)

local at, id = now(ARGV[1]), ARGV[2]
local s = given(10)
s.id, s.confirm_by = id, ''

if exists(id) then return answer('created', id) end
sweep(at)

local confirm_by = string.format('%.0f', at + tonumber(ARGV[9]))
local key = ARGV[5] ~= '' and lane .. 'idempotent:' .. ARGV[5]
if key then
  local made, request = string.match(redis.call('GET', key) or '', '^(%S+) (%S+)$')
  if made and request ~= ARGV[6] then return { 'reused' } end
  if made and not exists(made) then return { 'spent' } end
  if made then return answer('replayed', made) end
end

local same = redis.call('HGET', targets_key(s.user), digest(s))
if same and exists(same) then
  if ARGV[8] == 'ask' or ARGV[8] == 'look' then return answer('ask', same) end
  local before = load(same)
  local pending = before.inactive_reason == 'unconfirmed'
  if pending and ARGV[8] == 'renew' then return { 'conflict' } end
  local revive = s.active == '1' and before.active ~= '1' and before.inactive_reason == 'failing'
  if revive or pending or s.expires_at ~= before.expires_at then
    leave(before)
    before.expires_at = s.expires_at
    if pending and before.confirm_by ~= '' then before.confirm_by = confirm_by end
    write(same, {
      expires_at = s.expires_at, confirm = pending and s.confirm or before.confirm, confirm_by = before.confirm_by,
      updated_at = string.format('%.0f', math.max(at, tonumber(before.created_at))),
    })
    join(before)
  end
  if revive then activate(same, at) end
  if pending and s.confirm == '' then settle(before, at) end
  return answer('existing', same)
end

if ARGV[8] == 'renew' then return { 'conflict' } end
if not room('SCARD', own_key(s.user), tonumber(ARGV[3]), at) then return { 'user_limit' } end
if not room('ZCARD', everybody, tonumber(ARGV[4]), at) then return { 'total_limit' } end

if ARGV[8] == 'look' then return { 'new' } end

local stamp = string.format('%.0f', at)
s.created_at, s.updated_at = stamp, stamp
if s.confirm ~= '' then
  s.once_confirmed = s.active == '1' and '' or 'owner'
  s.active, s.inactive_reason, s.inactive_since, s.confirm_by = '0', 'unconfirmed', stamp, confirm_by
elseif s.active == '1' then
  s.active_since = stamp
else
  s.inactive_reason, s.inactive_since = 'owner', stamp
end
write(id, s)
join(s)
if key then redis.call('SET', key, id .. ' ' .. ARGV[6], 'EX', ARGV[7]) end
return answer('created', id)
