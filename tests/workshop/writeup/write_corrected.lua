-- KEYS: what is protected, and the greatest epoch of its lock. ARGV: the writer's token, and the value.
if tonumber(ARGV[1]) < tonumber(redis.call("GET", KEYS[2]) or "0") then
    return 0
end
redis.call("SET", KEYS[1], ARGV[2])
return 1
