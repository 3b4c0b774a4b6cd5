-- What the scripts of this package share. It stands between lane.lua and each
-- of them; before it, FIELDS names the fields of a subscription's hash that this
-- package writes or shows, and UNTAGGED those that are no part of the etag.
--
-- A subscription's fields travel as a table of texts; a missing one is ''. The
-- events are one text, sorted, a space between two.

local expiring = lane .. 'expiring'
local everybody = lane .. 'all'

local function own_key(user) return lane .. 'subscriptions:' .. user end
local function targets_key(user) return lane .. 'targets:' .. user end

-- load answers a subscription; its id is '' where there is none.
local function load(id)
  local values = redis.call('HMGET', subscription_key(id), unpack(FIELDS))
  local s = {}
  for i, field in ipairs(FIELDS) do s[field] = values[i] or '' end
  return s
end

-- answer is what a script that found a subscription returns: a word, and the
-- values of FIELDS.
local function answer(word, id)
  local s = load(id)
  local values = {}
  for i, field in ipairs(FIELDS) do values[i] = s[field] end
  return { word, values }
end

-- etag changes with whatever an owner can see of a subscription.
local function etag(s)
  local shown = {}
  for _, field in ipairs(FIELDS) do
    if not UNTAGGED[field] then shown[#shown + 1] = s[field] end
  end
  return redis.sha1hex(table.concat(shown, '\n'))
end

-- digest tells one wish from another: the same events to the same target.
local function digest(s) return redis.sha1hex(s.event .. '\n' .. s.target_url) end

-- A member of expiring holds all that is needed to take a subscription out of
-- its sets: by then Redis has let its hash go. The user comes last, since it may
-- hold anything.
local function expiring_member(s) return s.id .. '|' .. digest(s) .. '|' .. s.event .. '|' .. s.user end

-- ends answers when a subscription ends by itself, or '': a new one sooner,
-- unless its target has confirmed by then.
local function ends(s)
  if s.confirm_by == '' then return s.expires_at end
  if s.expires_at ~= '' and tonumber(s.expires_at) < tonumber(s.confirm_by) then return s.expires_at end
  return s.confirm_by
end

-- join makes a subscription a member of the sets that it is found by. A new one
-- that is not confirmed is found by no event.
local function join(s)
  redis.call('SADD', own_key(s.user), s.id)
  redis.call('ZADD', everybody, 0, s.id)
  redis.call('HSET', targets_key(s.user), digest(s), s.id)
  for name in string.gmatch(s.confirm_by == '' and s.event or '', '%S+') do
    redis.call('SADD', lane .. 'subscribers:' .. name .. ':' .. s.user, s.id)
  end
  if ends(s) ~= '' then
    redis.call('ZADD', expiring, ends(s), expiring_member(s))
    redis.call('PEXPIREAT', subscription_key(s.id), ends(s))
  else
    redis.call('PERSIST', subscription_key(s.id))
  end
end

-- withdraw takes a subscription out of every set that join puts it into.
local function withdraw(id, user, events, key, member)
  redis.call('SREM', own_key(user), id)
  redis.call('ZREM', everybody, id)
  if redis.call('HGET', targets_key(user), key) == id then redis.call('HDEL', targets_key(user), key) end
  for name in string.gmatch(events, '%S+') do
    redis.call('SREM', lane .. 'subscribers:' .. name .. ':' .. user, id)
  end
  redis.call('ZREM', expiring, member)
end

local function leave(s) withdraw(s.id, s.user, s.event, digest(s), expiring_member(s)) end

-- bury ends a subscription that is in no set any more, and leaves its deliveries
-- to be let go of in parts: they may be many.
local function bury(id)
  redis.call('DEL', subscription_key(id))
  redis.call('ZREM', lane .. 'runnable', id)
  redis.call('ZREM', lane .. 'waiting', id)
  redis.call('SADD', lane .. 'purge', id)
  wake()
end

-- sweep takes subscriptions whose time is over out of their sets. Redis has let
-- go of their hashes by itself, at the moment; this is what is left to do.
-- It takes a bounded part of them, and answers how many.
local function sweep(at)
  local over = redis.call('ZRANGEBYSCORE', expiring, '-inf', at, 'LIMIT', 0, 100)
  for _, member in ipairs(over) do
    local id, key, events, user = string.match(member, '^([^|]*)|([^|]*)|([^|]*)|(.*)$')
    redis.call('ZREM', expiring, member)
    if id then
      withdraw(id, user, events, key, member)
      bury(id)
    end
  end
  return #over
end

-- room reports whether a set, whose members a command counts, has less of them
-- than most. Where it has not, it sweeps on: what has ended must not keep anybody
-- from subscribing.
local function room(command, set, most, at)
  for _ = 1, 20 do
    if redis.call(command, set) < most then return true end
    if sweep(at) == 0 then break end
  end
  return redis.call(command, set) < most
end

-- activate has what was kept delivered, and forgets what counted against the
-- target.
local function activate(id, at)
  local key = subscription_key(id)
  redis.call('HSET', key, 'active', '1', 'inactive_reason', '', 'active_since', string.format('%.0f', at))
  redis.call('HDEL', key, 'inactive_since', 'failing_since', 'failures', 'resume_at', 'ramp', 'open_until', 'trips', 'health')
  if place(id, at) then wake() end
end

-- deactivate has events kept, for one of the reasons that there are.
local function deactivate(id, at, reason)
  redis.call('HSET', subscription_key(id), 'active', '0', 'inactive_reason', reason,
    'inactive_since', string.format('%.0f', at))
  place(id, at)
end

-- given answers the fields and values that stand from an argument on.
local function given(first)
  local fields = {}
  for i = first, #ARGV, 2 do fields[ARGV[i]] = ARGV[i + 1] end
  return fields
end

-- write sets fields; an empty one is removed. Lua's pairs has no order, which
-- fields do not need.
local function write(id, fields)
  for field, value in pairs(fields) do
    if value == '' then
      redis.call('HDEL', subscription_key(id), field)
    else
      redis.call('HSET', subscription_key(id), field, value)
    end
  end
end

-- settle makes a subscription that was pending what it is to be: its target has
-- confirmed.
local function settle(s, at)
  leave(s)
  s.confirm_by = ''
  write(s.id, { confirm_by = '' })
  join(s)
  if s.once_confirmed == '' then activate(s.id, at) else deactivate(s.id, at, s.once_confirmed) end
end
