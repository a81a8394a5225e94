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

-- check_runs
-- What there was too little of to judge is told by its number: it does not make a run unknown whose other checks are known.
CREATE VIEW leadgate_views.check_runs AS
SELECT checked_at AS evaluated_at,
       model_name,
       CASE
           WHEN bool_or(severity = 'red') THEN 'red'
           WHEN bool_or(severity = 'yellow') THEN 'yellow'
           WHEN bool_or(severity = 'green') THEN 'green'
           ELSE 'unknown'
       END AS status,
       count(*) FILTER (WHERE severity = 'red') AS num_red,
       count(*) FILTER (WHERE severity = 'yellow') AS num_yellow,
       count(*) FILTER (WHERE severity = 'unknown') AS num_unknown,
       count(*) FILTER (WHERE severity = 'green') AS num_green,
       min(window_since) AS window_since,
       max(window_until) AS window_until,
       run_id
FROM leadgate.check_results
GROUP BY run_id, checked_at, model_name

-- check_results
CREATE VIEW leadgate_views.check_results AS
SELECT checked_at AS evaluated_at,
       window_since,
       window_until,
       model_name,
       area,
       check_name,
       subject,
       severity AS status,
       value,
       threshold AS target,
       low AS value_low,
       high AS value_high,
       sample AS num_leads,
       p_value,
       weight AS importance,
       sentence,
       run_id
FROM leadgate.check_results

-- dashboard_rows
-- A row of the dashboard is one result: of several subjects the most urgent, or the one that is furthest away. figure says
-- where its value is: in the column, or in the details under that name; compared does so of the target. A drift has the
-- threshold of the distance that decided: of another distance the target is not known here. Conversion and deal size are
-- judged by their change, up or down, and stand beside what they were.
CREATE VIEW leadgate_views.dashboard_rows AS
SELECT DISTINCT ON (c.model_name, c.checked_at, c.run_id, r.row_name)
       c.checked_at AS evaluated_at,
       c.model_name,
       r.card,
       r.place,
       r.row_name,
       r.unit,
       CASE r.figure
           WHEN 'value' THEN c.value
           WHEN 'number out' THEN
               count(*) FILTER (WHERE c.severity IN ('yellow', 'red'))
               OVER (PARTITION BY c.model_name, c.checked_at, c.run_id, r.row_name)
           ELSE (c.details ->> r.figure)::double precision
       END AS value,
       CASE r.compared
           WHEN 'threshold' THEN c.threshold
           WHEN 'none' THEN 0
           WHEN 'at_holdout' THEN (c.details ->> 'at_holdout')::double precision
           WHEN 'before' THEN (c.details ->> 'before')::double precision
           ELSE CASE WHEN c.details ->> 'by' = r.compared THEN c.threshold END
       END AS target,
       r.target_is,
       c.severity AS status,
       CASE WHEN c.subject IN ('', 'champion') THEN c.sentence ELSE c.subject || ': ' || c.sentence END AS sentence,
       c.run_id
FROM leadgate.check_results c
JOIN (
    VALUES
        (1, 'System health', 'latency p95', 'latency p95', 'ms', 'value', 'threshold', 'at most'),
        (2, 'System health', 'latency p99', 'latency p99', 'ms', 'value', 'threshold', 'at most'),
        (3, 'System health', 'error rate', 'error rate', 'share', 'value', 'threshold', 'at most'),
        (4, 'System health', 'uptime', 'uptime', 'share', 'value', 'threshold', 'at least'),
        (5, 'Model performance', 'AUC', 'AUC', '', 'value', 'threshold', 'at least'),
        (6, 'Model performance', 'precision', 'precision', 'share', 'value', 'threshold', 'at least'),
        (7, 'Model performance', 'recall', 'recall', 'share', 'value', 'threshold', 'at least'),
        (8, 'Model performance', 'calibration error', 'calibration', '', 'value', 'threshold', 'at most'),
        (9, 'Data quality and drift', 'data freshness', 'freshness', 'hours', 'value', 'threshold', 'at most'),
        (10, 'Data quality and drift', 'missing values', 'missing values', 'share', 'value', 'threshold', 'at most'),
        (11, 'Data quality and drift', 'feature drift KS', 'feature drift', '', 'ks', 'KS', 'at most'),
        (12, 'Data quality and drift', 'distribution delta', 'feature drift', 'nats', 'js', 'JS divergence', 'at most'),
        (13, 'Data quality and drift', 'coverage', 'coverage', 'share', 'value', 'threshold', 'at least'),
        (14, 'Business impact', 'conversion rate', 'conversion', 'share', 'rate', 'at_holdout', 'near'),
        (15, 'Business impact', 'lift over baseline', 'conversion', 'share', 'change', 'threshold', 'within'),
        (16, 'Business impact', 'average deal size', 'deal size', 'money', 'mean', 'before', 'near'),
        (17, 'Business impact', 'sales satisfaction', 'sales rating', 'of 10', 'value', 'threshold', 'at least'),
        (18, 'Business impact', 'model usage', 'usage', 'scores a day', 'value', 'threshold', 'at least'),
        (19, 'Drift detection', 'prediction drift', 'score drift', '', 'median shift', 'median shift', 'at most'),
        (20, 'Drift detection', 'prediction percentiles', 'score drift', '', 'percentile change', 'percentile change',
         'at most'),
        (21, 'Drift detection', 'prediction entropy', 'score entropy', 'nats', 'value', 'threshold', 'at most'),
        (22, 'Drift detection', 'feature shift', 'feature drift', 'features', 'number out', 'none', 'at most')
) AS r (place, card, row_name, check_name, unit, figure, compared, target_is) USING (check_name)
WHERE c.subject <> 'challenger'
ORDER BY c.model_name, c.checked_at, c.run_id, r.row_name,
         CASE WHEN r.figure IN ('ks', 'js') THEN (c.details ->> r.figure)::double precision END DESC NULLS LAST,
         array_position('{red,yellow,unknown,green}'::text[], c.severity), c.value DESC NULLS LAST, c.result_id

-- score_drift
CREATE VIEW leadgate_views.score_drift AS
SELECT checked_at AS evaluated_at,
       model_name,
       subject AS variant,
       (details ->> 'median shift')::double precision AS median_shift,
       (details ->> 'percentile change')::double precision AS percentile_change,
       (details ->> 'KS')::double precision AS ks_statistic,
       (details ->> 'JS divergence')::double precision AS js_divergence,
       (details ->> 'p10')::double precision AS p10,
       (details ->> 'p25')::double precision AS p25,
       (details ->> 'p50')::double precision AS p50,
       (details ->> 'p75')::double precision AS p75,
       (details ->> 'p90')::double precision AS p90,
       (details ->> 'mean')::double precision AS mean_score,
       (details ->> 'mean_of_holdout')::double precision AS baseline_mean_score,
       p_value,
       severity AS status,
       sample AS num_leads,
       sentence,
       run_id
FROM leadgate.check_results
WHERE check_name = 'score drift'

-- score_hours
CREATE VIEW leadgate_views.score_hours AS
SELECT hour,
       model_name,
       model_version,
       variant,
       sum(predictions)::bigint AS num_predictions
FROM leadgate.profile_hours
GROUP BY hour, model_name, model_version, variant

-- service_minutes
CREATE VIEW leadgate_views.service_minutes AS
SELECT until AS measured_at,
       since,
       extract(epoch FROM until - since)::double precision AS span_seconds,
       model_name,
       service,
       worker,
       requests,
       failures,
       busy_s AS busy_seconds,
       peak_memory_bytes,
       shadow_asked AS shadow_requests,
       shadow_failed AS shadow_failures
FROM leadgate.service_measurements

-- alerts
CREATE VIEW leadgate_views.alerts AS
SELECT alert_id,
       model_name,
       area,
       check_name,
       subject,
       cause,
       state,
       severity,
       severity_since,
       opened_at,
       acknowledged_at,
       acknowledged_by,
       resolved_at,
       sentence
FROM leadgate.alerts

-- routes
CREATE VIEW leadgate_views.routes AS
SELECT model_name,
       epoch,
       stage,
       champion AS champion_version,
       challenger AS challenger_version,
       1 - share / 10000.0::double precision AS champion_share,
       share / 10000.0::double precision AS challenger_share,
       changed_at,
       lead(changed_at) OVER (PARTITION BY model_name ORDER BY epoch) AS changed_again_at,
       changed_by,
       reason
FROM leadgate.routes

-- rollout_steps
CREATE VIEW leadgate_views.rollout_steps AS
SELECT s.acted_at,
       r.model_name,
       s.rollout_id,
       s.step,
       s.act,
       s.stage,
       s.paused_at IS NOT NULL AS paused,
       s.finished,
       r.champion AS champion_version,
       r.challenger AS challenger_version,
       s.acted_by,
       s.comment,
       s.evidence_id,
       s.route_epoch,
       r.started_at,
       r.ended_at
FROM leadgate.rollout_steps s
JOIN leadgate.rollouts r USING (rollout_id)

-- rollout_judgements
CREATE VIEW leadgate_views.rollout_judgements AS
SELECT e.gathered_at,
       r.model_name,
       e.rollout_id,
       e.act,
       e.reason,
       e.evidence_id
FROM leadgate.rollout_evidence e
JOIN leadgate.rollouts r USING (rollout_id)

-- rollout_gates
-- Verdicts are taken apart for each row that is asked for: ask for the evidence_id of rollout_judgements.
CREATE VIEW leadgate_views.rollout_gates AS
SELECT e.gathered_at,
       r.model_name,
       e.rollout_id,
       e.evidence #>> '{state,stage}' AS stage,
       v.gate ->> 'gate' AS gate,
       v.gate ->> 'answer' AS answer,
       (v.gate ->> 'value')::double precision AS value,
       (v.gate ->> 'threshold')::double precision AS target,
       (v.gate #>> '{interval,low}')::double precision AS value_low,
       (v.gate #>> '{interval,high}')::double precision AS value_high,
       (v.gate ->> 'sample')::bigint AS num_leads,
       (v.gate ->> 'red')::boolean AS red,
       v.gate ->> 'sentence' AS sentence,
       v.place,
       e.evidence_id
FROM leadgate.rollout_evidence e
JOIN leadgate.rollouts r USING (rollout_id)
CROSS JOIN LATERAL jsonb_array_elements(e.verdicts) WITH ORDINALITY AS v (gate, place)

-- rollout_looks
CREATE VIEW leadgate_views.rollout_looks AS
SELECT e.gathered_at,
       r.model_name,
       e.rollout_id,
       e.evidence #>> '{state,stage}' AS stage,
       (e.evidence #>> '{experiment,control,exposed}')::bigint AS champion_leads,
       (e.evidence #>> '{experiment,treatment,exposed}')::bigint AS challenger_leads,
       (e.evidence #>> '{experiment,control,matured}')::bigint AS champion_matured,
       (e.evidence #>> '{experiment,treatment,matured}')::bigint AS challenger_matured,
       (e.evidence #>> '{experiment,control,conversions}')::bigint AS champion_conversions,
       (e.evidence #>> '{experiment,treatment,conversions}')::bigint AS challenger_conversions,
       (e.evidence #>> '{experiment,planned}')::bigint AS planned_leads,
       (e.evidence #>> '{experiment,difference}')::double precision AS difference,
       (e.evidence #>> '{experiment,sequence,low}')::double precision AS difference_low,
       (e.evidence #>> '{experiment,sequence,high}')::double precision AS difference_high,
       (e.evidence #>> '{experiment,harm}')::double precision AS harm,
       (e.evidence #>> '{experiment,harm_threshold}')::double precision AS harm_threshold,
       (e.evidence #>> '{experiment,ratio_p}')::double precision AS split_p_value,
       (e.evidence #>> '{experiment,test,lift}')::double precision AS lift,
       (e.evidence #>> '{experiment,test,interval,low}')::double precision AS lift_low,
       (e.evidence #>> '{experiment,test,interval,high}')::double precision AS lift_high,
       (e.evidence #>> '{experiment,test,p_value}')::double precision AS p_value,
       e.evidence_id
FROM leadgate.rollout_evidence e
JOIN leadgate.rollouts r USING (rollout_id)
WHERE jsonb_typeof(e.evidence -> 'experiment') = 'object'

-- sales_ratings
CREATE VIEW leadgate_views.sales_ratings AS
SELECT rated_at,
       model_name,
       model_version,
       rating,
       comment
FROM leadgate.sales_ratings

-- job_runs
CREATE VIEW leadgate_views.job_runs AS
SELECT started_at,
       ended_at,
       extract(epoch FROM ended_at - started_at)::double precision AS duration_seconds,
       model_name,
       job,
       started_by,
       result,
       sentence,
       job_run_id
FROM leadgate.job_runs

-- lead_scores_with_explored
-- A view that is there keeps its columns, and what reads it; others come after them.
CREATE OR REPLACE VIEW leadgate_views.lead_scores AS
SELECT prediction_id,
       lead_id,
       scored_at AS prediction_timestamp,
       (scored_at AT TIME ZONE 'UTC')::date AS prediction_date,
       predicted_score,
       priority,
       model_name,
       model_version,
       variant,
       explored,
       own_priority
FROM leadgate.prediction_logs

-- prediction_logs_with_explored
CREATE OR REPLACE VIEW leadgate_views.prediction_logs AS
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
       features,
       explored
FROM leadgate.prediction_logs

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

-- comments_for_dashboards
COMMENT ON VIEW leadgate_views.check_runs IS 'a row for each run of checks: its worst finding, and how many of each';
COMMENT ON VIEW leadgate_views.check_results IS 'a row for each run of checks, check and subject, with target and evidence';
COMMENT ON VIEW leadgate_views.dashboard_rows IS 'a row for each run of checks and row of the dashboard';
COMMENT ON VIEW leadgate_views.score_drift IS 'a row for each run of checks and side: the scores against those of the hold-out';
COMMENT ON VIEW leadgate_views.score_hours IS 'scores by hour (UTC) and version, counted as they were logged';
COMMENT ON VIEW leadgate_views.service_minutes IS 'a row for each worker of the service and minute';
COMMENT ON VIEW leadgate_views.alerts IS 'a row for each time that a check went out; open ones have no resolved_at';
COMMENT ON VIEW leadgate_views.routes IS 'who answers: a row for each change; the one in force has no changed_again_at';
COMMENT ON VIEW leadgate_views.rollout_steps IS 'a row for each act of a rollout, and the stage after it';
COMMENT ON VIEW leadgate_views.rollout_judgements IS 'a row for each time that a rollout was judged, and what followed';
COMMENT ON VIEW leadgate_views.rollout_gates IS 'a row for each time that a rollout was judged and gate';
COMMENT ON VIEW leadgate_views.rollout_looks IS 'a row for each time that the sides of a rollout were compared';
COMMENT ON VIEW leadgate_views.sales_ratings IS 'what sales people say of the scores, without their names';
COMMENT ON VIEW leadgate_views.job_runs IS 'a row for each run of a job'

-- grants
GRANT USAGE ON SCHEMA leadgate_views TO leadgate_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA leadgate_views TO leadgate_reader
