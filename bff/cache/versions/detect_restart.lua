-- Greets a server on a new connection. One that is not the process it was, as after a restart, a
-- failover or a restored backup, may have lost versions and marks: nothing that it has is believed,
-- and nothing is kept in it until all writes that were under way have ended and all gateways are back.
-- KEYS: which process it was, the tag of everything. ARGV: which process it is, how long that takes in ms.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  local t = redis.call('TIME')
  local void = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000) + ARGV[2])
  redis.call('SET', KEYS[2], '!' .. void .. ':restart,', 'PX', ARGV[2])
  redis.call('SET', KEYS[1], ARGV[1])
end
return 1
