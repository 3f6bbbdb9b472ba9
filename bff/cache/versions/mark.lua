-- Marks tags as being written. A mark ends by itself when its writer does not come back: each has the
-- time, in milliseconds of this server, at which it is void. Where there is no memory for a mark the tag
-- goes, and what was kept under it with it.
-- KEYS: the tags. ARGV: the writer, how long a write may take in ms.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local mine = string.format('%.0f', now + ARGV[2]) .. ':' .. ARGV[1] .. ','
for _, tag in ipairs(KEYS) do
  local others = ''
  local value = redis.pcall('GET', tag)
  if type(value) ~= 'string' then value = nil end -- not there, or nothing of ours
  if value and value:sub(1, 1) == '!' then
    for void, writer in value:gmatch('(%d+):(%w+),') do
      if tonumber(void) > now and writer ~= ARGV[1] then others = others .. void .. ':' .. writer .. ',' end
    end
  end
  local set = redis.pcall('SET', tag, '!' .. others .. mine, 'PX', ARGV[2])
  if set.err then redis.call('DEL', tag) end
end
return 1
