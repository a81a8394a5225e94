-- The plan's queries on PostgreSQL: see docs/own-tools.md. A test runs each of them.
-- Before them, in each session:
--   SET search_path = leadgate_views;
--   SET TimeZone = 'UTC';

-- daily_prediction_drift
-- Section 3.3. PERCENTILE_CONT(x, q) is percentile_cont(q) WITHIN GROUP (ORDER BY x); an interval is quoted.
SELECT
  DATE(prediction_timestamp) as date,
  PERCENTILE_CONT(0.25) WITHIN GROUP (ORDER BY predicted_score) as q1,
  PERCENTILE_CONT(0.50) WITHIN GROUP (ORDER BY predicted_score) as median,
  PERCENTILE_CONT(0.75) WITHIN GROUP (ORDER BY predicted_score) as q3,
  PERCENTILE_CONT(0.90) WITHIN GROUP (ORDER BY predicted_score) as p90,
  COUNT(*) as num_predictions,
  ROUND(100.0 * COUNT(*) / LAG(COUNT(*)) OVER (ORDER BY DATE(prediction_timestamp)) - 100, 2) as volume_change_pct
FROM lead_scores
WHERE prediction_timestamp >= CURRENT_DATE - INTERVAL '30 day'
GROUP BY 1
ORDER BY 1 DESC;

-- prediction_drift_alert
-- Section 3.3. A query, for PostgreSQL has no CREATE ALERT; percentiles by day first, since they are no window functions;
-- two days, since one has nothing to be compared with.
WITH daily AS (
  SELECT
    DATE(prediction_timestamp) as date,
    PERCENTILE_CONT(0.90) WITHIN GROUP (ORDER BY predicted_score) as p90
  FROM lead_scores
  WHERE prediction_timestamp >= CURRENT_DATE - INTERVAL '2 day' AND prediction_timestamp < CURRENT_DATE
  GROUP BY 1
)
SELECT
  CASE WHEN ABS(MAX(p90) - MIN(p90)) / NULLIF((ARRAY_AGG(p90 ORDER BY date))[1], 0) > 0.20
  THEN 'ALERT'
  ELSE 'OK'
  END as status
FROM daily;

-- daily_business
-- Section 3.5. As it is; DATE of a date is that date.
SELECT
  DATE(prediction_date) as date,
  COUNT(DISTINCT lead_id) as num_leads,
  SUM(CASE WHEN converted THEN 1 ELSE 0 END)::FLOAT / COUNT(*) as conversion_rate,
  AVG(deal_size) as avg_deal_size,
  AVG(CASE WHEN converted THEN days_to_close ELSE NULL END) as avg_days_to_close,
  CORR(predicted_score, CASE WHEN converted THEN 1 ELSE 0 END) as score_conversion_correlation
FROM lead_scores
LEFT JOIN lead_outcomes USING (lead_id)
GROUP BY 1
ORDER BY 1 DESC;

-- daily_business_done_right
-- The same of the view: a lead once a day, by what became of it within the outcome window after the score.
SELECT
  date,
  model_version,
  num_leads,
  conversion_rate,
  avg_deal_size,
  avg_days_to_close,
  score_conversion_correlation
FROM business_metrics
WHERE date >= CURRENT_DATE - 90 AND matured
ORDER BY date DESC;

-- weekly_business
-- The weekly report by version and priority.
SELECT
  DATE_TRUNC('week', prediction_timestamp)::date as week,
  model_version,
  priority,
  COUNT(DISTINCT lead_id) as num_leads,
  COUNT(DISTINCT lead_id) FILTER (WHERE converted) as conversions,
  AVG(CASE WHEN converted THEN 1 ELSE 0 END) as conversion_rate,
  AVG(deal_size) as avg_deal_size,
  AVG(CASE WHEN converted THEN days_to_close ELSE NULL END) as avg_days_to_close,
  SUM(deal_size) as revenue
FROM lead_scores
LEFT JOIN lead_outcomes USING (lead_id)
GROUP BY 1, 2, 3
ORDER BY 1 DESC, 2, 3;

-- daily_predictions
-- Section 5, panel 1. As it is.
SELECT
  DATE(prediction_timestamp) as date,
  COUNT(*) as predictions,
  ROUND(100.0 * SUM(CASE WHEN predicted_score > 0.7 THEN 1 ELSE 0 END) / COUNT(*), 2) as pct_high_score
FROM lead_scores
WHERE prediction_timestamp >= CURRENT_DATE - 30
GROUP BY 1
ORDER BY 1 DESC;

-- model_performance
-- Section 5, panel 2. ROUND to places takes a numeric.
SELECT
  model_version,
  COUNT(*) as num_predictions,
  ROUND(AVG(CASE WHEN converted THEN 1 ELSE 0 END), 4) as actual_conversion_rate,
  ROUND(AVG(CASE WHEN converted THEN predicted_score ELSE NULL END)::numeric, 4) as avg_score_converted,
  ROUND(AVG(CASE WHEN NOT converted THEN predicted_score ELSE NULL END)::numeric, 4) as avg_score_not_converted
FROM lead_scores
LEFT JOIN lead_outcomes USING (lead_id)
WHERE prediction_timestamp >= CURRENT_DATE - 30
GROUP BY 1;

-- model_metrics
-- What panel 2 is after: AUC, precision, recall and calibration of matured leads, as the checks found them.
SELECT evaluated_at, model_version, auc, auc_low, auc_high, precision, recall, calibration_error, status
FROM model_metrics
WHERE variant = 'champion' AND evaluated_at >= CURRENT_DATE - 30
ORDER BY evaluated_at DESC;

-- latency
-- Section 5, panel 3. An interval is quoted.
SELECT
  DATE_TRUNC('hour', prediction_timestamp) as hour,
  PERCENTILE_CONT(0.50) WITHIN GROUP (ORDER BY latency_ms) as p50_latency,
  PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY latency_ms) as p95_latency,
  PERCENTILE_CONT(0.99) WITHIN GROUP (ORDER BY latency_ms) as p99_latency,
  MAX(latency_ms) as max_latency
FROM prediction_logs
WHERE prediction_timestamp >= CURRENT_TIMESTAMP - INTERVAL '1 day'
GROUP BY 1
ORDER BY 1 DESC;

-- data_drift
-- Section 5, panel 4, by rows: the training leads are in Delta Lake and not here, so the week is held against the three
-- weeks before it; features are in feature_values; only numbers have percentiles; a median of zero is no denominator.
WITH baseline AS (
  SELECT
    feature_name,
    PERCENTILE_CONT(0.25) WITHIN GROUP (ORDER BY feature_value) as baseline_q1,
    PERCENTILE_CONT(0.50) WITHIN GROUP (ORDER BY feature_value) as baseline_median,
    PERCENTILE_CONT(0.75) WITHIN GROUP (ORDER BY feature_value) as baseline_q3
  FROM feature_values
  WHERE prediction_timestamp >= CURRENT_DATE - 28 AND prediction_timestamp < CURRENT_DATE - 7
    AND feature_value IS NOT NULL
  GROUP BY 1
),
current AS (
  SELECT
    feature_name,
    PERCENTILE_CONT(0.25) WITHIN GROUP (ORDER BY feature_value) as current_q1,
    PERCENTILE_CONT(0.50) WITHIN GROUP (ORDER BY feature_value) as current_median,
    PERCENTILE_CONT(0.75) WITHIN GROUP (ORDER BY feature_value) as current_q3
  FROM feature_values
  WHERE prediction_timestamp >= CURRENT_DATE - 7 AND feature_value IS NOT NULL
  GROUP BY 1
)
SELECT
  b.feature_name,
  ABS((c.current_median - b.baseline_median) / NULLIF(b.baseline_median, 0)) as median_drift_pct,
  CASE WHEN ABS((c.current_median - b.baseline_median) / NULLIF(b.baseline_median, 0)) > 0.15 THEN 'ALERT' ELSE 'OK' END as drift_status
FROM baseline b
JOIN current c ON b.feature_name = c.feature_name
ORDER BY median_drift_pct DESC;

-- data_drift_done_right
-- Section 3.2 and panel 4 against the training leads, with evidence: what the last run of checks found.
SELECT feature_name, ks_statistic, js_divergence, p_value, drifted, drift_status, drift_severity
FROM feature_drift
WHERE detected_at = (SELECT MAX(detected_at) FROM feature_drift)
ORDER BY drifted DESC, importance DESC NULLS LAST;

-- shadow_comparison
-- Section 2.3. The AUC by ranks (Mann-Whitney); precision is the share of those above 0.5 that converted.
WITH comparison AS (
  SELECT model_version, shadow_score, converted,
    RANK() OVER (PARTITION BY model_version ORDER BY shadow_score)
      + (COUNT(*) OVER (PARTITION BY model_version, shadow_score) - 1) / 2.0 as place
  FROM shadow_predictions
  JOIN lead_outcomes USING (lead_id)
)
SELECT
  model_version,
  COUNT(*) as num_leads,
  (SUM(place) FILTER (WHERE converted) - COUNT(*) FILTER (WHERE converted) * (COUNT(*) FILTER (WHERE converted) + 1) / 2.0)
    / NULLIF(COUNT(*) FILTER (WHERE converted) * COUNT(*) FILTER (WHERE NOT converted), 0) as shadow_auc,
  AVG(CASE WHEN converted THEN 1.0 ELSE 0.0 END) FILTER (WHERE shadow_score > 0.5) as shadow_precision
FROM comparison
GROUP BY 1;

-- ab_test
-- Section 2.4: what the chi-square test takes. `leadgate rollout` counts first exposures and matured leads alone.
SELECT
  variant,
  COUNT(DISTINCT lead_id) as size,
  COUNT(DISTINCT lead_id) FILTER (WHERE converted) as conversions
FROM lead_scores
LEFT JOIN lead_outcomes USING (lead_id)
WHERE prediction_timestamp >= CURRENT_DATE - 14
GROUP BY 1
ORDER BY 1;

-- calibration
-- Section 4.4. As SQL: outcomes of the last 30 days of scores given in them, by tenths of the score.
SELECT
  ROUND(predicted_score::numeric, 1) as score_bin,
  AVG(CASE WHEN converted THEN 1 ELSE 0 END) as actual_conversion_rate,
  COUNT(*) as count
FROM lead_scores
JOIN lead_outcomes USING (lead_id)
WHERE prediction_timestamp >= CURRENT_DATE - 30 AND outcome_timestamp >= CURRENT_DATE - 30
GROUP BY 1
ORDER BY 1;
