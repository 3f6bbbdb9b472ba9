-- Takes points from a budget that comes back continuously, by the generic cell rate algorithm: what
-- is kept is the time at which the budget will be whole again. Points below 0 are given back.
-- KEYS[1]: the budget; ARGV: microseconds a point takes to come back, the limit, the points, and those
-- of before that are given back first.
-- Answers: whether they were taken, what is left, microseconds until there are as many.
local interval, limit, points, given = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

-- Since 2025, so that microseconds leave room for their fractions in a double.
local time = redis.call('TIME')
local now = (tonumber(time[1]) - 1735689600) * 1000000 + tonumber(time[2])

-- Not beyond what an empty budget needs: the limit may have been lower, or the clock ahead.
local span = limit * interval
local whole = tonumber(redis.call('GET', KEYS[1]) or now)
whole = math.max(math.min(math.max(whole, now), now + span) - given * interval, now)

local after = whole + points * interval
local enough = points == 0 or after <= now + span + 0.001
local kept = enough and after or whole
if kept <= now then
  redis.call('DEL', KEYS[1])
elseif given > 0 or (enough and points > 0) then
  redis.call('SET', KEYS[1], string.format('%.6f', kept), 'PX', math.ceil((kept - now) / 1000))
end
local left = math.floor((now + span - kept) / interval + 0.000001)
if enough then
  return {1, left, 0}
end
return {0, left, math.ceil(after - now - span)}
