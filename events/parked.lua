-- parked reads a part of the parked elements, the oldest first, without their
-- payloads. It writes nothing.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  elements to pass over
-- ARGV[2]  elements to read
-- result   {name, header or "" where it cannot be read, bytes of payload} ...
-- name     the event's id; of what has none, "sha1-" and the element's SHA-1

local HEADER_LIMIT, LOOK = 65536, 16
local from, left = tonumber(ARGV[1]), tonumber(ARGV[2])
local rows = {}

local function row(element)
  local stop = string.find(element, '\n', 1, true)
  if stop and stop <= HEADER_LIMIT then
    local head = string.sub(element, 1, stop - 1)
    local ok, h = pcall(cjson.decode, head)
    if ok and type(h) == 'table' and type(h.id) == 'string' and h.id ~= '' and type(h.event) == 'string' and h.event ~= '' then
      return { h.id, head, #element - stop }
    end
  end
  return { 'sha1-' .. redis.sha1hex(element), '', #element }
end

while left > 0 do
  local most = math.min(left, LOOK) -- a megabyte each, at worst
  local elements = redis.call('LRANGE', lane .. 'parked', -from - most, -from - 1)
  for i = #elements, 1, -1 do rows[#rows + 1] = row(elements[i]) end
  from, left = from + #elements, left - #elements
  if #elements < most then break end
end
return rows
