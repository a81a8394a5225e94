-- create_schema
CREATE SCHEMA leadgate_views

-- lead_scores
CREATE VIEW leadgate_views.lead_scores AS
SELECT prediction_id,
       lead_id,
       scored_at AS prediction_timestamp,
       (scored_at AT TIME ZONE 'UTC')::date AS prediction_date,
       predicted_score,
       priority,
       model_name,
       model_version,
       variant
FROM leadgate.prediction_logs

-- lead_outcomes
-- By a condition and not by DISTINCT ON: a condition on any column reaches the index.
CREATE VIEW leadgate_views.lead_outcomes AS
SELECT o.lead_id,
       o.converted,
       o.deal_size,
       o.days_to_close,
       o.outcome_at AS outcome_timestamp,
       o.recorded_at AS recorded_timestamp,
       o.source
FROM leadgate.lead_outcomes o
WHERE NOT EXISTS (
    SELECT FROM leadgate.lead_outcomes later
    WHERE later.lead_id = o.lead_id AND later.outcome_id > o.outcome_id
)

-- prediction_logs
CREATE VIEW leadgate_views.prediction_logs AS
SELECT prediction_id,
       request_id,
       lead_id,
       scored_at AS prediction_timestamp,
       latency_ms,
       batch_size AS num_records,
       predicted_score,
       model_name,
       model_version,
       variant,
       route_epoch,
       features
FROM leadgate.prediction_logs

-- shadow_predictions
CREATE VIEW leadgate_views.shadow_predictions AS
SELECT prediction_id,
       lead_id,
       scored_at AS shadow_timestamp,
       shadow_score,
       shadow_version AS model_version,
       predicted_score,
       model_version AS answered_version,
       model_name
FROM leadgate.prediction_logs
WHERE shadow_score IS NOT NULL

-- feature_values
CREATE VIEW leadgate_views.feature_values AS
SELECT p.lead_id,
       p.scored_at AS prediction_timestamp,
       p.model_name,
       p.model_version,
       f.key AS feature_name,
       CASE WHEN jsonb_typeof(f.value) = 'number' THEN (f.value #>> '{}')::double precision END AS feature_value,
       f.value #>> '{}' AS feature_text
FROM leadgate.prediction_logs p
CROSS JOIN LATERAL jsonb_each(p.features) f

-- model_metrics
-- A check names the side that it judged; which version that was, the route of that moment tells.
CREATE VIEW leadgate_views.model_metrics AS
SELECT m.evaluated_at,
       m.model_name,
       CASE m.variant WHEN 'champion' THEN r.champion ELSE r.challenger END AS model_version,
       m.variant,
       m.auc,
       m.auc_low,
       m.auc_high,
       m.baseline_auc,
       m."precision",
       m.recall,
       m.calibration_error,
       m.estimated_auc,
       m.num_leads,
       m.status,
       m.run_id
FROM (
    SELECT checked_at AS evaluated_at,
           model_name,
           subject AS variant,
           max(value) FILTER (WHERE check_name = 'AUC') AS auc,
           max(low) FILTER (WHERE check_name = 'AUC') AS auc_low,
           max(high) FILTER (WHERE check_name = 'AUC') AS auc_high,
           max((details ->> 'holdout')::double precision) FILTER (WHERE check_name = 'AUC') AS baseline_auc,
           max(value) FILTER (WHERE check_name = 'precision') AS "precision",
           max(value) FILTER (WHERE check_name = 'recall') AS recall,
           max(value) FILTER (WHERE check_name = 'calibration') AS calibration_error,
           max(value) FILTER (WHERE check_name = 'estimated AUC') AS estimated_auc,
           max(sample) FILTER (WHERE check_name = 'calibration') AS num_leads,
           (array_agg(severity ORDER BY array_position('{red,yellow,unknown,green}'::text[], severity)))[1] AS status,
           run_id
    FROM leadgate.check_results
    WHERE area = 'model' AND subject IN ('champion', 'challenger')
    GROUP BY run_id, checked_at, model_name, subject
) AS m
LEFT JOIN LATERAL (
    SELECT champion, challenger
    FROM leadgate.routes
    WHERE routes.model_name = m.model_name AND routes.changed_at <= m.evaluated_at
    ORDER BY epoch DESC
    LIMIT 1
) AS r ON true

-- feature_drift
CREATE VIEW leadgate_views.feature_drift AS
SELECT c.checked_at AS detected_at,
       c.window_since,
       c.window_until,
       c.model_name,
       r.champion AS model_version,
       c.subject AS feature_name,
       (c.details ->> 'ks')::double precision AS ks_statistic,
       (c.details ->> 'js')::double precision AS js_divergence,
       (c.details ->> 'psi')::double precision AS psi,
       c.p_value,
       c.severity IN ('yellow', 'red') AS drifted,
       CASE c.severity WHEN 'green' THEN 'OK' WHEN 'unknown' THEN 'NOT ENOUGH DATA' ELSE 'ALERT' END AS drift_status,
       CASE c.severity WHEN 'yellow' THEN 'MEDIUM' WHEN 'red' THEN 'HIGH' WHEN 'green' THEN 'NONE' END AS drift_severity,
       (c.details ->> 'importance')::double precision AS importance,
       c.sample AS num_leads,
       c.sentence,
       c.run_id
FROM leadgate.check_results c
LEFT JOIN LATERAL (
    SELECT champion
    FROM leadgate.routes
    WHERE routes.model_name = c.model_name AND routes.changed_at <= c.checked_at
    ORDER BY epoch DESC
    LIMIT 1
) AS r ON true
WHERE c.check_name = 'feature drift'

-- business_metrics
-- Day by day, so that a condition on the date leaves the partitions of other days alone.
CREATE VIEW leadgate_views.business_metrics AS
SELECT days.first_day + n AS date,
       m.model_name,
       m.model_version,
       m.num_leads,
       m.num_outcomes,
       m.conversions,
       m.conversions::double precision / nullif(m.num_outcomes, 0) AS conversion_rate,
       m.conversions::double precision / m.num_leads AS conversion_rate_of_all,
       m.avg_deal_size,
       m.revenue,
       m.avg_days_to_close,
       m.score_conversion_correlation,
       (days.first_day + n + 1)::timestamp AT TIME ZONE 'UTC' + rule.within <= now() AS matured
FROM (
    SELECT (min(scored_at) AT TIME ZONE 'UTC')::date AS first_day,
           (max(scored_at) AT TIME ZONE 'UTC')::date AS last_day
    FROM leadgate.prediction_logs
) AS days
CROSS JOIN (
    SELECT coalesce(nullif(current_setting('leadgate.window_days', true), ''), '60')::double precision
           * interval '1 day' AS within
) AS rule
CROSS JOIN LATERAL generate_series(0, days.last_day - days.first_day) AS n
CROSS JOIN LATERAL (
    SELECT s.model_name,
           s.model_version,
           count(*) AS num_leads,
           count(s.outcome_at) AS num_outcomes,
           count(*) FILTER (WHERE s.won) AS conversions,
           avg(s.deal_size) FILTER (WHERE s.won) AS avg_deal_size,
           sum(s.deal_size) FILTER (WHERE s.won) AS revenue,
           avg(s.days_to_close) FILTER (WHERE s.won) AS avg_days_to_close,
           corr(s.predicted_score, s.won::integer) FILTER (WHERE s.outcome_at IS NOT NULL)
               AS score_conversion_correlation
    FROM (
        SELECT first.model_name,
               first.model_version,
               first.predicted_score,
               last.outcome_at,
               last.deal_size,
               last.days_to_close,
               coalesce(last.converted AND last.outcome_at <= first.scored_at + rule.within, false) AS won
        FROM (
            SELECT DISTINCT ON (p.model_name, p.lead_id)
                   p.model_name, p.model_version, p.lead_id, p.scored_at, p.predicted_score
            FROM leadgate.prediction_logs p
            WHERE p.scored_at >= (days.first_day + n)::timestamp AT TIME ZONE 'UTC'
              AND p.scored_at < (days.first_day + n + 1)::timestamp AT TIME ZONE 'UTC'
            ORDER BY p.model_name, p.lead_id, p.scored_at, p.prediction_id
        ) AS first
        LEFT JOIN LATERAL (
            SELECT o.converted, o.deal_size, o.days_to_close, o.outcome_at
            FROM leadgate.lead_outcomes o
            WHERE o.lead_id = first.lead_id
            ORDER BY o.outcome_id DESC
            LIMIT 1
        ) AS last ON true
        WHERE last.outcome_at IS NULL OR last.outcome_at >= first.scored_at
    ) AS s
    GROUP BY s.model_name, s.model_version
) AS m

-- comments
COMMENT ON SCHEMA leadgate_views IS 'for tools that read: nothing here is written to';
COMMENT ON VIEW leadgate_views.lead_scores IS 'every answered score; a lead that was scored again has several';
COMMENT ON VIEW leadgate_views.lead_outcomes IS 'the last recorded outcome of each lead';
COMMENT ON VIEW leadgate_views.prediction_logs IS 'every answered score, with what it was made of and how long it took';
COMMENT ON VIEW leadgate_views.shadow_predictions IS 'scores of the version that did not answer, beside the answer';
COMMENT ON VIEW leadgate_views.feature_values IS 'a row for each feature of each scored lead; always filter by time';
COMMENT ON VIEW leadgate_views.model_metrics IS 'a row for each run of checks and side: figures on matured leads';
COMMENT ON VIEW leadgate_views.feature_drift IS 'a row for each run of checks and feature';
COMMENT ON VIEW leadgate_views.business_metrics IS
    'a row for each day (UTC) and version: its leads by their first score of the day, converted within '
    'leadgate.window_days (60 where it is not set)';

-- grants
GRANT USAGE ON SCHEMA leadgate_views TO leadgate_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA leadgate_views TO leadgate_reader
