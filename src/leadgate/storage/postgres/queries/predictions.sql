-- copy_predictions
COPY leadgate.prediction_logs
    (prediction_id, lead_id, scored_at, model_name, model_version, variant, predicted_score, priority,
     features, latency_ms, batch_size, request_id, route_epoch, shadow_version, shadow_score, explored,
     own_priority)
FROM STDIN

-- claim_segment
INSERT INTO leadgate.spool_segments (segment, drained_at, predictions, lost, damage)
VALUES (%(segment)s, %(drained_at)s, %(predictions)s, %(lost)s, %(damage)s)
ON CONFLICT DO NOTHING

-- damaged_segments
SELECT segment, drained_at, predictions, lost, damage
FROM leadgate.spool_segments
WHERE damage IS NOT NULL
ORDER BY drained_at DESC
LIMIT %(most)s

-- forget_segments
DELETE FROM leadgate.spool_segments WHERE drained_at < %(before)s AND damage IS NULL

-- latest_score
SELECT prediction_id, lead_id, scored_at, model_name, model_version, variant, predicted_score, priority, explored
FROM leadgate.prediction_logs
WHERE lead_id = %(lead_id)s
ORDER BY scored_at DESC, prediction_id DESC
LIMIT 1

-- logged_score
SELECT prediction_id, lead_id, scored_at, model_name, model_version, variant, predicted_score, priority, explored,
       features, route_epoch
FROM leadgate.prediction_logs
WHERE lead_id = %(lead_id)s
  AND model_name = %(model_name)s
  AND scored_at <= %(until)s
ORDER BY scored_at DESC, prediction_id DESC
LIMIT 1

-- scored_leads
COPY (
    SELECT p.lead_id,
           (extract(epoch FROM p.scored_at) * 1000000)::bigint AS scored_at,
           p.model_version,
           p.predicted_score,
           coalesce(p.own_priority, p.priority) = 'high' AS own_high,
           p.explored,
           p.features ->> %(segment)s AS segment
    FROM leadgate.prediction_logs p
    WHERE p.model_name = %(model_name)s
      AND (%(since)s::timestamptz IS NULL OR p.scored_at >= %(since)s)
      AND p.scored_at <= %(until)s
    ORDER BY p.scored_at, p.prediction_id
) TO STDOUT (FORMAT csv, HEADER)

-- log_starts
-- Where the partitions begin, by the catalogue; nothing of what is in them.
SELECT (regexp_match(pg_get_expr(c.relpartbound, c.oid), $$FROM \('([^']+)'\)$$))[1]::timestamptz AS start
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'leadgate.prediction_logs'::regclass
ORDER BY start DESC NULLS LAST

-- first_scored_at
SELECT min(scored_at)
FROM leadgate.prediction_logs
WHERE lead_id = %(lead_id)s AND model_name = %(model_name)s
  AND scored_at >= %(since)s AND scored_at < %(until)s

-- scores_of_lead
SELECT prediction_id, lead_id, scored_at, model_version, variant, predicted_score, priority, features, latency_ms,
       batch_size, request_id, route_epoch, shadow_version, shadow_score, own_priority
FROM leadgate.prediction_logs
WHERE lead_id = %(lead_id)s AND model_name = %(model_name)s
  AND scored_at >= %(since)s AND scored_at < %(until)s
ORDER BY scored_at DESC, prediction_id DESC
LIMIT %(most)s
