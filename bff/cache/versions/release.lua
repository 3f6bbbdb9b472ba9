-- Releases tags at the end of a write. A tag without another writer gets a new version, under which no entry was read.
-- Without memory for a version the script deletes the tag; a missing tag has no version.
-- KEYS: the tags. ARGV: the writer, the new version, its TTL in ms.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
for _, tag in ipairs(KEYS) do
  local others, last = '', now
  local value = redis.pcall('GET', tag)
  if type(value) ~= 'string' then value = nil end -- missing, or of another program
  if value and value:sub(1, 1) == '!' then
    for expires, writer in value:gmatch('(%d+):(%w+),') do
      if tonumber(expires) > now and writer ~= ARGV[1] then
        others = others .. expires .. ':' .. writer .. ','
        last = math.max(last, tonumber(expires))
      end
    end
  end
  local set
  if others == '' then
    set = redis.pcall('SET', tag, ARGV[2], 'PX', ARGV[3])
  else
    set = redis.pcall('SET', tag, '!' .. others, 'PX', string.format('%.0f', last - now))
  end
  if set.err then redis.call('DEL', tag) end
end
return 1
