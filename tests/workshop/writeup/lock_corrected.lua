-- KEYS: the lock, and beside it the greatest epoch so far, which has no time to live.
local epoch = tonumber(ARGV[1])
if epoch <= tonumber(redis.call("GET", KEYS[2]) or "0") then
    return nil
end
redis.call("SET", KEYS[2], ARGV[1])
redis.call("SET", KEYS[1], ARGV[2], "EX", 10)
return epoch
