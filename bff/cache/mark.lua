-- Marks tags as being written. A mark ends by itself when its writer does not come back: each has the
-- time, in milliseconds of this server, at which it is void.
-- KEYS: the tags. ARGV: the writer, how long a write may take in ms.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local mine = string.format('%.0f', now + ARGV[2]) .. ':' .. ARGV[1] .. ','
for _, tag in ipairs(KEYS) do
  local others = ''
  local value = redis.call('GET', tag)
  if value and value:sub(1, 1) == '!' then
    for void, writer in value:gmatch('(%d+):(%w+),') do
      if tonumber(void) > now and writer ~= ARGV[1] then others = others .. void .. ':' .. writer .. ',' end
    end
  end
  redis.call('SET', tag, '!' .. others .. mine, 'PX', ARGV[2])
end
return 1
