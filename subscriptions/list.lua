-- list answers the ids of a user's subscriptions, once those whose time is over
-- have been taken away.
--
-- KEYS[1]  the lane's prefix
-- ARGV[1]  offset of the clock in ms
-- ARGV[2]  user
-- result   ids, in no order

sweep(now(ARGV[1]))
return redis.call('SMEMBERS', own_key(ARGV[2]))
