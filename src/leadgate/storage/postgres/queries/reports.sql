-- rollouts
SELECT rollout_id, champion, champion_digest, challenger, challenger_digest, challenger_author, rules, design,
       started_at, started_by, CASE WHEN ended_at <= %(until)s THEN ended_at END AS ended_at
FROM leadgate.rollouts
WHERE model_name = %(model_name)s AND started_at <= %(until)s
ORDER BY rollout_id DESC

-- steps
-- The share of the leads that the challenger had after each act; in stage full it is the champion of its own route.
SELECT s.step, s.acted_at, s.act, s.stage, s.stage_since, s.acted_by, s.comment, s.evidence_id, s.route_epoch,
       CASE WHEN r.champion = o.challenger THEN 1.0 ELSE r.share / 10000.0 END::double precision AS challenger_share,
       (extract(epoch FROM s.acted_at - o.started_at) / 86400)::double precision AS day
FROM leadgate.rollout_steps s
JOIN leadgate.rollouts o USING (rollout_id)
LEFT JOIN leadgate.routes r ON r.model_name = o.model_name AND r.epoch = s.route_epoch
WHERE s.rollout_id = %(rollout_id)s AND s.acted_at <= %(until)s
ORDER BY s.step

-- evidence
SELECT evidence_id, rollout_id, gathered_at, act, reason, evidence, verdicts
FROM leadgate.rollout_evidence
WHERE evidence_id = %(evidence_id)s

-- last_evidence
-- The last evaluation of a rollout in one of some stages.
SELECT evidence_id, evidence #>> '{state,stage}' AS stage
FROM leadgate.rollout_evidence
WHERE rollout_id = %(rollout_id)s AND gathered_at <= %(until)s AND evidence #>> '{state,stage}' = ANY(%(stages)s)
ORDER BY evidence_id DESC
LIMIT 1

-- looks
-- What each evaluation of a stage of an experiment saw; one a day suffices.
SELECT DISTINCT ON ((gathered_at AT TIME ZONE 'UTC')::date)
       evidence_id, gathered_at,
       (evidence #>> '{experiment,control,matured}')::bigint AS control_matured,
       (evidence #>> '{experiment,treatment,matured}')::bigint AS treatment_matured,
       (evidence #>> '{experiment,difference}')::double precision AS difference,
       (evidence #>> '{experiment,sequence,low}')::double precision AS low,
       (evidence #>> '{experiment,sequence,high}')::double precision AS high,
       (evidence #>> '{experiment,harm}')::double precision AS harm,
       (evidence #>> '{experiment,harm_threshold}')::double precision AS harm_threshold
FROM leadgate.rollout_evidence
WHERE rollout_id = %(rollout_id)s AND gathered_at <= %(until)s
      AND evidence #>> '{state,stage}' = %(stage)s AND jsonb_typeof(evidence -> 'experiment') = 'object'
ORDER BY (gathered_at AT TIME ZONE 'UTC')::date, evidence_id DESC

-- approvals
SELECT approval_id, stage, stage_since, approved_at, approved_by, comment
FROM leadgate.rollout_approvals
WHERE rollout_id = %(rollout_id)s AND approved_at <= %(until)s
ORDER BY approval_id

-- post_mortems
-- What was found is known once it is closed.
SELECT post_mortem_id, rollout_id, step, opened_at, cause, evidence_id,
       CASE WHEN closed_at <= %(until)s THEN closed_at END AS closed_at,
       CASE WHEN closed_at <= %(until)s THEN closed_by END AS closed_by,
       CASE WHEN closed_at <= %(until)s THEN findings END AS findings
FROM leadgate.post_mortems
WHERE rollout_id = %(rollout_id)s AND opened_at <= %(until)s
ORDER BY post_mortem_id

-- acts
SELECT entry, happened_at, actor, act, subject, details
FROM leadgate.audit_log
WHERE subject = ANY(%(subjects)s) AND happened_at <= %(until)s
ORDER BY entry

-- routes
SELECT epoch, stage, champion, challenger, share / 10000.0::double precision AS challenger_share, changed_at, changed_by,
       reason
FROM leadgate.routes
WHERE model_name = %(model_name)s AND changed_at <= %(until)s
ORDER BY epoch

-- last_run
-- The last run of checks over the standard window.
SELECT run_id::text AS run_id, checked_at, min(window_since) AS since, max(window_until) AS until
FROM leadgate.check_results
WHERE model_name = %(model_name)s AND checked_at >= %(since)s AND checked_at <= %(until)s
GROUP BY run_id, checked_at
ORDER BY abs(extract(epoch FROM max(window_until) - min(window_since) - %(window)s)) > 3600, checked_at DESC
LIMIT 1

-- findings
SELECT area, check_name, subject, severity, sentence, value, threshold, low, high, sample, p_value, weight, details
FROM leadgate.check_results
WHERE run_id = %(run_id)s
ORDER BY result_id

-- runs
SELECT count(DISTINCT run_id) AS runs, min(checked_at) AS first_at, max(checked_at) AS last_at,
       count(DISTINCT (checked_at AT TIME ZONE 'UTC')::date) AS days
FROM leadgate.check_results
WHERE model_name = %(model_name)s AND checked_at >= %(since)s AND checked_at <= %(until)s

-- alerts
-- The alerts that were open at any time of a span, with the worst that each one was.
SELECT a.alert_id, a.area, a.check_name, a.subject, a.sentence, a.opened_at,
       CASE WHEN a.resolved_at <= %(until)s THEN a.resolved_at END AS resolved_at,
       CASE WHEN EXISTS (
                SELECT FROM leadgate.alert_history h
                WHERE h.alert_id = a.alert_id AND h.severity = 'red' AND h.happened_at <= %(until)s
            ) THEN 'red' ELSE 'yellow' END AS worst
FROM leadgate.alerts a
WHERE a.model_name = %(model_name)s AND a.opened_at <= %(until)s
      AND (a.resolved_at IS NULL OR a.resolved_at >= %(since)s)
ORDER BY worst, a.opened_at, a.alert_id

-- incidents
-- Red alerts and rollbacks of a span.
SELECT (
           SELECT count(DISTINCT a.alert_id)
           FROM leadgate.alerts a
           JOIN leadgate.alert_history h USING (alert_id)
           WHERE a.model_name = %(model_name)s AND a.opened_at >= %(since)s AND a.opened_at <= %(until)s
                 AND h.severity = 'red' AND h.happened_at <= %(until)s
       ) AS red_alerts,
       (
           SELECT count(*)
           FROM leadgate.post_mortems p
           JOIN leadgate.rollouts r USING (rollout_id)
           WHERE r.model_name = %(model_name)s AND p.opened_at >= %(since)s AND p.opened_at <= %(until)s
       ) AS rollbacks

-- leads
-- Leads by their first score in a span: by week (its Monday, UTC), version and priority, and together. Matured are those
-- whose window has passed and whose outcome is known; those decided before their score say nothing of it.
WITH first AS (
    SELECT DISTINCT ON (lead_id) lead_id, scored_at, model_version, priority
    FROM leadgate.prediction_logs
    WHERE model_name = %(model_name)s AND scored_at >= %(since)s AND scored_at <= %(until)s
    ORDER BY lead_id, scored_at, prediction_id
),
last AS (
    SELECT DISTINCT ON (lead_id) lead_id, converted, deal_size, days_to_close, outcome_at
    FROM leadgate.lead_outcomes
    WHERE recorded_at <= %(until)s
    ORDER BY lead_id, outcome_id DESC
),
judged AS (
    SELECT date_trunc('week', f.scored_at AT TIME ZONE 'UTC')::date AS week,
           f.model_version,
           f.priority,
           f.scored_at + %(window)s <= %(until)s AS passed,
           o.lead_id IS NOT NULL OR %(silence_is_loss)s AS known,
           coalesce(o.converted AND o.outcome_at <= f.scored_at + %(window)s, false) AS won,
           o.deal_size,
           o.days_to_close
    FROM first f
    LEFT JOIN last o USING (lead_id)
    WHERE o.outcome_at IS NULL OR o.outcome_at >= f.scored_at
)
SELECT CASE grouping(week, model_version, priority)
           WHEN 7 THEN 'all' WHEN 5 THEN 'version' WHEN 4 THEN 'band' WHEN 1 THEN 'week' ELSE 'week band'
       END AS level,
       week,
       model_version,
       priority,
       count(*) AS leads,
       count(*) FILTER (WHERE NOT passed) AS maturing,
       count(*) FILTER (WHERE passed AND NOT known) AS silent,
       count(*) FILTER (WHERE passed AND known) AS matured,
       count(*) FILTER (WHERE passed AND known AND won) AS conversions,
       count(*) FILTER (WHERE passed AND known AND won)::double precision
           / nullif(count(*) FILTER (WHERE passed AND known), 0) AS rate,
       avg(deal_size) FILTER (WHERE passed AND known AND won) AS deal_size,
       avg(days_to_close) FILTER (WHERE passed AND known AND won) AS days_to_close,
       sum(deal_size) FILTER (WHERE passed AND known AND won) AS revenue
FROM judged
GROUP BY GROUPING SETS ((), (model_version), (model_version, priority), (week, model_version), (week, model_version, priority))
ORDER BY level, week, length(model_version), model_version, array_position('{high,medium,low}'::text[], priority)

-- calibration
-- Matured leads in ten parts of equal numbers, from the lowest scores to the highest.
WITH first AS (
    SELECT DISTINCT ON (lead_id) lead_id, scored_at, predicted_score
    FROM leadgate.prediction_logs
    WHERE model_name = %(model_name)s AND scored_at >= %(since)s AND scored_at <= %(until)s
    ORDER BY lead_id, scored_at, prediction_id
),
last AS (
    SELECT DISTINCT ON (lead_id) lead_id, converted, outcome_at
    FROM leadgate.lead_outcomes
    WHERE recorded_at <= %(until)s
    ORDER BY lead_id, outcome_id DESC
),
judged AS (
    SELECT f.predicted_score AS score,
           coalesce(o.converted AND o.outcome_at <= f.scored_at + %(window)s, false) AS won,
           ntile(10) OVER (ORDER BY f.predicted_score, f.lead_id) AS part
    FROM first f
    LEFT JOIN last o USING (lead_id)
    WHERE f.scored_at + %(window)s <= %(until)s
          AND (o.outcome_at >= f.scored_at OR (o.lead_id IS NULL AND %(silence_is_loss)s))
)
SELECT part, count(*) AS leads, min(score) AS low, max(score) AS high, avg(score) AS mean_score,
       count(*) FILTER (WHERE won) AS conversions,
       count(*) FILTER (WHERE won)::double precision / count(*) AS rate
FROM judged
GROUP BY part
ORDER BY part

-- segments
-- Matured leads by the value of some features; of each the twenty largest.
WITH first AS (
    SELECT DISTINCT ON (lead_id) lead_id, scored_at, predicted_score, features
    FROM leadgate.prediction_logs
    WHERE model_name = %(model_name)s AND scored_at >= %(since)s AND scored_at <= %(until)s
    ORDER BY lead_id, scored_at, prediction_id
),
last AS (
    SELECT DISTINCT ON (lead_id) lead_id, converted, deal_size, outcome_at
    FROM leadgate.lead_outcomes
    WHERE recorded_at <= %(until)s
    ORDER BY lead_id, outcome_id DESC
),
judged AS (
    SELECT f.features,
           f.predicted_score AS score,
           coalesce(o.converted AND o.outcome_at <= f.scored_at + %(window)s, false) AS won,
           o.deal_size
    FROM first f
    LEFT JOIN last o USING (lead_id)
    WHERE f.scored_at + %(window)s <= %(until)s
          AND (o.outcome_at >= f.scored_at OR (o.lead_id IS NULL AND %(silence_is_loss)s))
)
SELECT feature, value, matured, conversions, rate, mean_score, deal_size, revenue
FROM (
    SELECT place,
           feature,
           coalesce(features ->> feature, '(missing)') AS value,
           count(*) AS matured,
           count(*) FILTER (WHERE won) AS conversions,
           count(*) FILTER (WHERE won)::double precision / count(*) AS rate,
           avg(score) AS mean_score,
           avg(deal_size) FILTER (WHERE won) AS deal_size,
           sum(deal_size) FILTER (WHERE won) AS revenue,
           row_number() OVER (PARTITION BY place ORDER BY count(*) DESC, coalesce(features ->> feature, '(missing)')) AS rank
    FROM judged, unnest(%(features)s::text[]) WITH ORDINALITY AS named (feature, place)
    GROUP BY place, feature, coalesce(features ->> feature, '(missing)')
) AS ranked
WHERE rank <= 20
ORDER BY place, rank

-- matured_features
-- Matured leads as they were scored first, and whether they converted.
WITH first AS (
    SELECT DISTINCT ON (lead_id) lead_id, scored_at, predicted_score, features
    FROM leadgate.prediction_logs
    WHERE model_name = %(model_name)s AND scored_at >= %(since)s AND scored_at <= %(until)s
    ORDER BY lead_id, scored_at, prediction_id
),
last AS (
    SELECT DISTINCT ON (lead_id) lead_id, converted, outcome_at
    FROM leadgate.lead_outcomes
    WHERE recorded_at <= %(until)s
    ORDER BY lead_id, outcome_id DESC
)
SELECT f.predicted_score AS score,
       coalesce(o.converted AND o.outcome_at <= f.scored_at + %(window)s, false) AS won,
       ARRAY(SELECT f.features ->> name FROM unnest(%(features)s::text[]) WITH ORDINALITY AS n (name, place) ORDER BY place)
           AS features
FROM first f
LEFT JOIN last o USING (lead_id)
WHERE f.scored_at + %(window)s <= %(until)s
      AND (o.outcome_at >= f.scored_at OR (o.lead_id IS NULL AND %(silence_is_loss)s))
ORDER BY f.lead_id
LIMIT %(most)s

-- sides
-- What the leads of each stage of a rollout paid, by the version that answered them first: first exposure decides the
-- side. A conversion without a deal size counts as 0, and is counted.
WITH stages AS (
    SELECT route_epoch, stage FROM leadgate.rollout_steps WHERE rollout_id = %(rollout_id)s AND route_epoch IS NOT NULL
),
first AS (
    SELECT DISTINCT ON (lead_id) lead_id, scored_at, model_version, route_epoch
    FROM leadgate.prediction_logs
    WHERE model_name = %(model_name)s AND scored_at >= %(since)s AND scored_at <= %(until)s
    ORDER BY lead_id, scored_at, prediction_id
),
last AS (
    SELECT DISTINCT ON (lead_id) lead_id, converted, deal_size, outcome_at
    FROM leadgate.lead_outcomes
    WHERE recorded_at <= %(until)s
    ORDER BY lead_id, outcome_id DESC
),
judged AS (
    SELECT s.stage,
           f.model_version,
           f.scored_at + %(window)s <= %(until)s AND (o.lead_id IS NOT NULL OR %(silence_is_loss)s)
               AND (o.outcome_at IS NULL OR o.outcome_at >= f.scored_at) AS matured,
           coalesce(o.converted AND o.outcome_at <= f.scored_at + %(window)s, false) AS won,
           o.deal_size
    FROM first f
    JOIN stages s USING (route_epoch)
    LEFT JOIN last o USING (lead_id)
),
paid AS (
    SELECT *, CASE WHEN won THEN coalesce(deal_size, 0) ELSE 0 END AS revenue FROM judged
)
SELECT stage,
       model_version,
       count(*) AS exposed,
       count(*) FILTER (WHERE matured) AS matured,
       count(*) FILTER (WHERE matured AND won) AS conversions,
       count(*) FILTER (WHERE matured AND won)::double precision / nullif(count(*) FILTER (WHERE matured), 0) AS rate,
       count(*) FILTER (WHERE matured AND won AND deal_size IS NULL) AS without_size,
       sum(revenue) FILTER (WHERE matured) AS revenue,
       avg(revenue) FILTER (WHERE matured) AS revenue_per_lead,
       var_samp(revenue) FILTER (WHERE matured) AS variance
FROM paid
GROUP BY stage, model_version
ORDER BY array_position('{shadow,canary,ab_test,full,rolling_back}'::text[], stage), length(model_version), model_version

-- ratings
SELECT count(*) AS ratings, count(DISTINCT rated_by) AS raters, avg(rating) AS mean, stddev_samp(rating) AS deviation
FROM leadgate.sales_ratings
WHERE model_name = %(model_name)s AND rated_at >= %(since)s AND rated_at <= %(until)s

-- job_runs
SELECT job, count(*) AS runs, count(*) FILTER (WHERE result = 'ok') AS ok, max(started_at) AS last_at
FROM leadgate.job_runs
WHERE model_name = %(model_name)s AND started_at >= %(since)s AND started_at <= %(until)s
GROUP BY job
ORDER BY job
