-- Queries for Databricks SQL alerts over the views of Leadgate. A test runs each of them. Before them:
--   USE leadgate.leadgate_views;
-- Each gives one row; alert where its first column is above 0.

-- red_alerts
-- Alerts of Leadgate that are open and red.
SELECT count(*) AS open_red, max(opened_at) AS last_opened
FROM alerts
WHERE resolved_at IS NULL AND severity = 'red';

-- auc_below_target
-- The champion's AUC in the last run of checks, judged with its interval: yellow and red are out.
SELECT count_if(r.status IN ('yellow', 'red')) AS models_out, min(r.value) AS lowest_auc
FROM dashboard_rows AS r
JOIN (SELECT model_name, max(evaluated_at) AS evaluated_at FROM check_results GROUP BY model_name) AS last_run
  ON r.model_name = last_run.model_name AND r.evaluated_at = last_run.evaluated_at
WHERE r.row_name = 'AUC';

-- features_drifted
-- More than two drifted features: the plan calls it high.
SELECT count_if(f.features > 2) AS models_out, max(f.features) AS most_features
FROM (
  SELECT d.model_name, count_if(d.drifted) AS features
  FROM feature_drift AS d
  JOIN (SELECT model_name, max(evaluated_at) AS evaluated_at FROM check_results GROUP BY model_name) AS last_run
    ON d.model_name = last_run.model_name AND d.detected_at = last_run.evaluated_at
  GROUP BY d.model_name
) AS f;

-- checks_stopped
-- Models whose checks last ran more than two hours ago: nobody would be told of anything.
SELECT count_if(c.last_run < current_timestamp() - INTERVAL 2 HOURS) AS models_unchecked, min(c.last_run) AS oldest
FROM (SELECT model_name, max(evaluated_at) AS last_run FROM check_results GROUP BY model_name) AS c;
