-- Takes points from a budget that comes back continuously, by the generic cell rate algorithm: what
-- is kept is the time at which the budget will be whole again. Points below 0 are given back.
-- KEYS[1]: the budget; ARGV: microseconds a point takes to come back, the limit, the points.
-- Answers: whether they were taken, what is left, microseconds until there are as many.
local interval, limit, points = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

-- Since 2025, so that microseconds leave room for their fractions in a double.
local time = redis.call('TIME')
local now = (tonumber(time[1]) - 1735689600) * 1000000 + tonumber(time[2])

-- Not beyond what an empty budget needs: the limit may have been lower, or the clock ahead.
local span = limit * interval
local whole = tonumber(redis.call('GET', KEYS[1]) or now)
whole = math.min(math.max(whole, now), now + span)

local after = math.max(whole + points * interval, now)
if points > 0 and after > now + span + 0.001 then
  return {0, math.floor((now + span - whole) / interval + 0.000001), math.ceil(after - now - span)}
end
if after <= now then
  redis.call('DEL', KEYS[1])
elseif points ~= 0 then
  redis.call('SET', KEYS[1], string.format('%.6f', after), 'PX', math.ceil((after - now) / 1000))
end
return {1, math.floor((now + span - after) / interval + 0.000001), 0}
