        local key = KEYS[1]
        local epoch = ARGV[1]
        local owner = redis.call("HGET", key, "owner")

        if owner == false or redis.call("HGET", key, "epoch") < epoch then
            redis.call("HMSET", key, "owner", ARGV[2], "epoch", epoch)
            redis.call("EXPIRE", key, 10)
            return epoch
        else
            return nil
        end
