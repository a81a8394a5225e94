-- partition_of
SELECT to_regclass('leadgate.' || %(name)s)

-- lock_partitions
SELECT pg_advisory_xact_lock(hashtext('leadgate.partitions'))

-- create_partition
-- By a function of the owner's, for only an owner can give a table partitions, and a service need not be one.
SELECT leadgate.add_prediction_day(%(day)s)
