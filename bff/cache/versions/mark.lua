-- Marks tags at the begin of a write. Each mark has the time, in milliseconds of this server, at which it expires, so that
-- the tag of a writer that never releases it recovers. Without memory for a mark the script deletes the tag, which
-- invalidates the entries of the tag.
-- KEYS: the tags. ARGV: the writer, the longest time of a write in ms.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local mine = string.format('%.0f', now + ARGV[2]) .. ':' .. ARGV[1] .. ','
for _, tag in ipairs(KEYS) do
  local others = ''
  local value = redis.pcall('GET', tag)
  if type(value) ~= 'string' then value = nil end -- missing, or of another program
  if value and value:sub(1, 1) == '!' then
    for expires, writer in value:gmatch('(%d+):(%w+),') do
      if tonumber(expires) > now and writer ~= ARGV[1] then others = others .. expires .. ':' .. writer .. ',' end
    end
  end
  local set = redis.pcall('SET', tag, '!' .. others .. mine, 'PX', ARGV[2])
  if set.err then redis.call('DEL', tag) end
end
return 1
