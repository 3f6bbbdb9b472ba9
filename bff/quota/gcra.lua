-- Takes points from a budget that refills continuously, by the generic cell rate algorithm (GCRA). The key holds the
-- time at which the budget is full again, in microseconds.
-- KEYS[1]: the budget. ARGV: microseconds per point, the limit, the points, the refund that is added first.
-- Reply: 1 if the points were taken, the points left, microseconds until there are enough.
local interval, limit, points, refund = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

-- The epoch is 2025, so that a double has bits left for fractions of a microsecond.
local time = redis.call('TIME')
local now = (tonumber(time[1]) - 1735689600) * 1000000 + tonumber(time[2])

-- At most the refill time of an empty budget: the limit may have been lower before, or the clock ahead.
local span = limit * interval
local full = tonumber(redis.call('GET', KEYS[1]) or now)
full = math.max(math.min(math.max(full, now), now + span) - refund * interval, now)

local after = full + points * interval
local enough = points == 0 or after <= now + span + 0.001
local stored = enough and after or full
if stored <= now then
  redis.call('DEL', KEYS[1])
elseif refund > 0 or (enough and points > 0) then
  redis.call('SET', KEYS[1], string.format('%.6f', stored), 'PX', math.ceil((stored - now) / 1000))
end
local left = math.floor((now + span - stored) / interval + 0.000001)
if enough then
  return {1, left, 0}
end
return {0, left, math.ceil(after - now - span)}
