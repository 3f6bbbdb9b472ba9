-- Detects on a new connection whether the server is another process than before, as after a restart, a failover or the
-- restore of a backup. Such a server may have lost versions and marks. So the script invalidates all entries and blocks
-- new ones until all writes in progress have ended and all gateways have had the time to reconnect.
-- KEYS: the run id of the last process, the tag of all entries. ARGV: the run id of this process, the time of the block in ms.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  local t = redis.call('TIME')
  local expires = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000) + ARGV[2])
  redis.call('SET', KEYS[2], '!' .. expires .. ':restart,', 'PX', ARGV[2])
  redis.call('SET', KEYS[1], ARGV[1])
end
return 1
