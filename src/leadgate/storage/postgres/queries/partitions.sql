-- partition_of
SELECT to_regclass('leadgate.' || %(name)s)

-- lock_partitions
SELECT pg_advisory_xact_lock(hashtext('leadgate.partitions'))

-- create_partition
CREATE TABLE IF NOT EXISTS {name} PARTITION OF leadgate.prediction_logs FOR VALUES FROM ({start}) TO ({end})
