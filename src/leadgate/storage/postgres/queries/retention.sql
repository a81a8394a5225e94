-- serialise_retentions
SELECT pg_try_advisory_lock(hashtext('leadgate.retention'))

-- logged_days
-- The catalogue knows a partition by its bounds. One that is not exactly a day (UTC) is somebody else's and left alone.
WITH partitions AS (
    SELECT n.nspname AS schema,
           c.relname AS partition,
           pg_total_relation_size(c.oid) AS size,
           regexp_match(pg_get_expr(c.relpartbound, c.oid), $$FROM \('([^']+)'\) TO \('([^']+)'\)$$) AS bounds
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE i.inhparent = 'leadgate.prediction_logs'::regclass
),
spans AS (
    SELECT schema, partition, size, bounds[1]::timestamptz AS start, bounds[2]::timestamptz AS until
    FROM partitions
)
SELECT (start AT TIME ZONE 'UTC')::date AS day, schema, partition, size
FROM spans
WHERE date_trunc('day', start, 'UTC') = start AND until = start + interval '24 hours'
ORDER BY start

-- count_rows
SELECT count(*) FROM leadgate.prediction_logs WHERE scored_at >= %(start)s AND scored_at < %(until)s

-- rows_of_day
-- In the order of the primary key, hence piece by piece without sorting a day each time.
COPY (
    SELECT prediction_id,
           (extract(epoch FROM scored_at) * 1000000)::bigint AS scored_at,
           lead_id,
           model_name,
           model_version,
           variant,
           predicted_score,
           priority,
           features::text AS features,
           latency_ms,
           batch_size,
           request_id,
           route_epoch,
           shadow_version,
           shadow_score,
           explored,
           own_priority
    FROM leadgate.prediction_logs
    WHERE scored_at >= %(start)s
      AND scored_at < %(until)s
      AND (%(after)s::uuid IS NULL OR prediction_id > %(after)s::uuid)
    ORDER BY prediction_id, scored_at
    LIMIT %(most)s
) TO STDOUT (FORMAT csv, HEADER, ENCODING 'UTF8')

-- limit_waiting
SET LOCAL lock_timeout = '3s'

-- lock_log
-- Nobody can write, everybody can read. First the log and then its partition, as writers do: no deadlock.
LOCK TABLE ONLY leadgate.prediction_logs IN SHARE ROW EXCLUSIVE MODE

-- lock_partition
LOCK TABLE {partition} IN SHARE ROW EXCLUSIVE MODE

-- count_partition
SELECT count(*) FROM {partition}

-- drop_partition
DROP TABLE {partition}
