-- Ends a write: tags that nobody else is writing get a new version, which no entry was read under. Where
-- there is no memory for one the tag goes: that is allowed, and no tag is no version.
-- KEYS: the tags. ARGV: the writer, the new version, how long it is kept in ms.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
for _, tag in ipairs(KEYS) do
  local others, last = '', now
  local value = redis.pcall('GET', tag)
  if type(value) ~= 'string' then value = nil end -- not there, or nothing of ours
  if value and value:sub(1, 1) == '!' then
    for void, writer in value:gmatch('(%d+):(%w+),') do
      if tonumber(void) > now and writer ~= ARGV[1] then
        others = others .. void .. ':' .. writer .. ','
        last = math.max(last, tonumber(void))
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
