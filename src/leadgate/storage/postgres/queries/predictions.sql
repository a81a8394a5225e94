-- insert_prediction
INSERT INTO leadgate.prediction_logs
    (prediction_id, lead_id, scored_at, model_name, model_version, variant, predicted_score, priority,
     features, latency_ms, batch_size, request_id)
VALUES
    (%(prediction_id)s, %(lead_id)s, %(scored_at)s, %(model_name)s, %(model_version)s, %(variant)s,
     %(predicted_score)s, %(priority)s, %(features)s, %(latency_ms)s, %(batch_size)s, %(request_id)s)

-- latest_score
SELECT prediction_id, lead_id, scored_at, model_name, model_version, variant, predicted_score, priority
FROM leadgate.prediction_logs
WHERE lead_id = %(lead_id)s
ORDER BY scored_at DESC, prediction_id DESC
LIMIT 1

-- scored_leads
COPY (
    SELECT p.lead_id,
           (extract(epoch FROM p.scored_at) * 1000000)::bigint AS scored_at,
           p.model_version,
           p.predicted_score,
           p.features ->> %(segment)s AS segment
    FROM leadgate.prediction_logs p
    WHERE p.model_name = %(model_name)s
      AND (%(since)s::timestamptz IS NULL OR p.scored_at >= %(since)s)
      AND p.scored_at <= %(until)s
    ORDER BY p.scored_at, p.prediction_id
) TO STDOUT (FORMAT csv, HEADER)
