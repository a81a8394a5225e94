-- first_predictions
-- The first prediction of each lead since a time, and its first one of a rollout: first exposure decides its side.
COPY (
    WITH touched AS (
        SELECT lead_id, max(contacted_at) AS last_contact
        FROM leadgate.lead_contacts
        WHERE contacted_at >= %(since)s AND recorded_at <= %(until)s
        GROUP BY lead_id
    ),
    log AS (
        SELECT *, scored_at >= %(rollout_since)s AND route_epoch >= %(rollout_epoch)s AS in_rollout
        FROM leadgate.prediction_logs
        WHERE model_name = %(model_name)s AND scored_at >= %(since)s AND scored_at <= %(until)s
    )
    SELECT DISTINCT ON (lead_id, in_rollout)
           lead_id,
           in_rollout,
           (extract(epoch FROM scored_at) * 1000000)::bigint AS scored_at,
           route_epoch,
           variant,
           priority,
           coalesce(last_contact >= log.scored_at, false) AS contacted,
           CASE WHEN model_version = %(champion)s THEN predicted_score
                WHEN shadow_version = %(champion)s THEN shadow_score END AS champion_score,
           CASE WHEN model_version = %(challenger)s THEN predicted_score
                WHEN shadow_version = %(challenger)s THEN shadow_score END AS challenger_score,
           features ->> %(segment_1)s AS segment_1,
           features ->> %(segment_2)s AS segment_2,
           features ->> %(segment_3)s AS segment_3,
           features ->> %(segment_4)s AS segment_4
    FROM log
    LEFT JOIN touched USING (lead_id)
    ORDER BY lead_id, in_rollout, log.scored_at, prediction_id
) TO STDOUT (FORMAT csv, HEADER)

-- leads_of_routes
SELECT count(DISTINCT lead_id)
FROM leadgate.prediction_logs
WHERE model_name = %(model_name)s AND scored_at >= %(since)s AND scored_at <= %(until)s
      AND route_epoch = ANY(%(epochs)s)

-- feature_health
-- Of the last leads in a span: how many values of each feature are missing, and how many are of no declared category.
WITH leads AS (
    SELECT features
    FROM leadgate.prediction_logs
    WHERE model_name = %(model_name)s AND scored_at >= %(since)s AND scored_at < %(until)s
    ORDER BY scored_at DESC
    LIMIT %(most)s
)
SELECT value.key,
       count(*),
       count(*) FILTER (WHERE value.value IS NULL),
       count(*) FILTER (
           WHERE value.value IS NOT NULL AND %(categories)s::jsonb ? value.key
                 AND NOT (%(categories)s::jsonb -> value.key) ? value.value
       )
FROM leads, jsonb_each_text(leads.features) AS value
GROUP BY value.key
ORDER BY value.key

-- champion_baseline
-- Matured leads of the time before, by their first score, and those that converted within the horizon.
WITH first AS (
    SELECT DISTINCT ON (lead_id) lead_id, scored_at
    FROM leadgate.prediction_logs
    WHERE model_name = %(model_name)s AND scored_at >= %(since)s AND scored_at <= %(until)s
    ORDER BY lead_id, scored_at
),
matched AS (
    SELECT first.lead_id, first.scored_at, last.converted, last.outcome_at
    FROM first
    LEFT JOIN LATERAL (
        SELECT converted, outcome_at
        FROM leadgate.lead_outcomes o
        WHERE o.lead_id = first.lead_id AND o.recorded_at <= %(until)s
        ORDER BY outcome_id DESC
        LIMIT 1
    ) AS last ON true
)
SELECT count(*) FILTER (WHERE matured AND known),
       count(*) FILTER (WHERE matured AND known AND converted AND outcome_at <= scored_at + %(horizon)s),
       count(*)::double precision,
       extract(epoch FROM %(until)s - min(scored_at)) / 86400
FROM (
    SELECT *,
           scored_at + %(horizon)s <= %(until)s AND (outcome_at IS NULL OR outcome_at >= scored_at) AS matured,
           outcome_at IS NOT NULL OR %(silence_is_loss)s AS known
    FROM matched
) AS judged
