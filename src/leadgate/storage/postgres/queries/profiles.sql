-- keep_log_readable
-- Who makes a day's partition has the log to itself, and takes its share of the lock after that: in this order, too.
LOCK TABLE ONLY leadgate.prediction_logs IN ACCESS SHARE MODE

-- hold_off_adding
-- Waits for those who add at this moment, and they wait for it.
SELECT pg_advisory_xact_lock(hashtext('leadgate.profiles'))

-- hold_off_rebuilding
SELECT pg_advisory_xact_lock_shared(hashtext('leadgate.profiles'))

-- add_part
-- Many may add at a time, with a share of the lock of those who make hours anew.
WITH share_of_lock AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(hashtext('leadgate.profiles')))
INSERT INTO leadgate.profile_hours (model_name, model_version, variant, hour, layout, predictions, payload)
SELECT %(model_name)s, %(model_version)s, %(variant)s, %(hour)s, %(layout)s, %(predictions)s, %(payload)s
FROM share_of_lock

-- take_parts
-- What another transaction merges at this moment is left to it: none waits, and no part is merged twice.
DELETE FROM leadgate.profile_hours
WHERE profile_id IN (
    SELECT profile_id
    FROM leadgate.profile_hours
    WHERE model_name = %(model_name)s AND model_version = %(model_version)s AND variant = %(variant)s
      AND hour = %(hour)s AND layout = %(layout)s
    FOR UPDATE SKIP LOCKED
)
RETURNING payload

-- scattered_hours
SELECT model_name, model_version, variant, hour, layout, count(*)
FROM leadgate.profile_hours
WHERE model_name = %(model_name)s AND hour < %(before)s
GROUP BY 1, 2, 3, 4, 5
HAVING count(*) > 1
ORDER BY hour

-- forget_hours
DELETE FROM leadgate.profile_hours
WHERE model_name = %(model_name)s AND hour >= %(since)s AND hour < %(until)s

-- parts
SELECT model_version, variant, hour, layout, predictions, payload
FROM leadgate.profile_hours
WHERE model_name = %(model_name)s AND hour >= %(since)s AND hour < %(until)s
  AND (%(version)s::text IS NULL OR model_version = %(version)s)
ORDER BY hour, profile_id

-- hours
SELECT model_version, variant, hour, sum(predictions)::bigint, count(*)
FROM leadgate.profile_hours
WHERE model_name = %(model_name)s AND hour >= %(since)s AND hour < %(until)s
GROUP BY 1, 2, 3
ORDER BY hour, model_version, variant

-- publish_baseline
INSERT INTO leadgate.profile_baselines AS known (model_name, model_version, sha256, layout, payload, published_at)
VALUES (%(model_name)s, %(model_version)s, %(sha256)s, %(layout)s, %(payload)s, %(published_at)s)
ON CONFLICT (model_name, model_version) DO UPDATE
SET sha256 = excluded.sha256, layout = excluded.layout, payload = excluded.payload,
    published_at = excluded.published_at
WHERE known.sha256 <> excluded.sha256

-- baseline
SELECT payload FROM leadgate.profile_baselines WHERE model_name = %(model_name)s AND model_version = %(model_version)s

-- published
SELECT model_version, sha256 FROM leadgate.profile_baselines WHERE model_name = %(model_name)s

-- logged_between
-- The columns in the order of the record Prediction.
SELECT prediction_id::text, lead_id, scored_at, model_name, model_version, variant, predicted_score, priority,
       features::text, latency_ms, batch_size, request_id, route_epoch, shadow_version, shadow_score,
       own_priority
FROM leadgate.prediction_logs
WHERE model_name = %(model_name)s AND scored_at >= %(since)s AND scored_at < %(until)s

-- first_logged
SELECT min(scored_at) FROM leadgate.prediction_logs WHERE model_name = %(model_name)s AND scored_at >= %(since)s

-- baselines_of
SELECT model_version, payload
FROM leadgate.profile_baselines
WHERE model_name = %(model_name)s AND model_version = ANY(%(versions)s)
