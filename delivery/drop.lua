-- drop lets go of deliveries that are not wanted any more: the receiver has them
-- by another way, or an operator decided so. Those in flight stay.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock, ms
-- ARGV[2]  subscription
-- ARGV[3]  which: all, waiting (never tried, or to be tried again) or dead
-- ARGV[4]  the last sequence that goes, or '' for any
-- ARGV[5]  the event that goes, or '' for any
-- ARGV[6]  most to let go of at once
-- result   {let go, 1 if there may be more}

local at, id, which, event, most = now(ARGV[1]), ARGV[2], ARGV[3], ARGV[5], tonumber(ARGV[6])
local through = ARGV[4] ~= '' and '(' .. string.format('%.0f', tonumber(ARGV[4]) + 1) or '+inf'
local windows = windows_key(id)
local sets = { all = { queue_key(id), blocked_key(id), retry_key(id), windows, riders_key(id), dead_key(id) },
  waiting = { queue_key(id), blocked_key(id), retry_key(id), windows, riders_key(id) }, dead = { dead_key(id) } }
local gone, there = 0, exists(id)

-- take takes an event out of a set, and answers whether it stood there.
local function take(key, name)
  if key == blocked_key(id) then return unblock(id, name) end
  if key == riders_key(id) then return alight(id, name) end
  if key ~= windows then return call('ZREM', key, name) == 1 end
  local window = window_of(id, name)
  return window and close(id, window)
end

-- let_go takes an event out of the sets, with the share that each has in it.
local function let_go(name)
  local held = 0
  for _, key in ipairs(sets[which]) do
    if take(key, name) then
      held = held + 1
      if key == dead_key(id) or not there then release(name) else abandon(id, name) end
    end
  end
  if held > 0 then
    forget(id, name)
    if there then
      scatter(id, name, at)
      advance(id, name, at)
    end
    gone = gone + 1
  end
end

local found = {}
if event ~= '' then
  found = { event }
elseif through == '+inf' then
  for _, key in ipairs(sets[which]) do
    for _, name in ipairs(call('ZRANGE', key, 0, most - #found - 1)) do
      found[#found + 1] = key ~= windows and name or call('HGET', latest_key(id), name) or nil
    end
    if #found >= most then break end
  end
else
  for _, key in ipairs({ queue_key(id), blocked_key(id), riders_key(id), tries_key(id) }) do
    for _, name in ipairs(call('ZRANGEBYSCORE', key, '-inf', through, 'LIMIT', 0, most)) do found[#found + 1] = name end
  end
end
for _, name in ipairs(found) do let_go(name) end
if call('EXISTS', queue_key(id)) == 0 then call('DEL', marks_key(id)) end
if call('EXISTS', dead_key(id)) == 0 then call('ZREM', lane .. 'retained', id) end
if there then place(id, at) end
return { gone, event == '' and gone > 0 and #found >= most and 1 or 0 }
