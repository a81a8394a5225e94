-- drop_measurements
-- The last one of a model stays, so that a service that is gone for long is known to have been there.
DELETE FROM leadgate.service_measurements m
WHERE m.model_name = %(model_name)s
  AND m.until < %(before)s
  AND m.until < (SELECT max(until) FROM leadgate.service_measurements WHERE model_name = %(model_name)s)
  AND NOT EXISTS (
      SELECT FROM leadgate.rollouts r
      WHERE r.model_name = m.model_name AND r.ended_at IS NULL AND m.until >= r.started_at - interval '1 day'
  )

-- thin_evidence
SELECT leadgate.thin_rollout_evidence(%(model_name)s, %(before)s)

-- thin_checks
-- The last run of each day and length of window stays.
WITH runs AS (
    SELECT run_id, checked_at, round(extract(epoch FROM max(window_until) - min(window_since)) / 3600) AS hours
    FROM leadgate.check_results
    WHERE model_name = %(model_name)s AND checked_at < %(before)s
    GROUP BY run_id, checked_at
),
kept AS (
    SELECT DISTINCT ON (date_trunc('day', checked_at, 'UTC'), hours) run_id
    FROM runs
    ORDER BY date_trunc('day', checked_at, 'UTC'), hours, checked_at DESC, run_id DESC
)
DELETE FROM leadgate.check_results r
USING runs
WHERE r.run_id = runs.run_id AND runs.run_id NOT IN (SELECT run_id FROM kept)

-- drop_runs
DELETE FROM leadgate.job_runs r
WHERE r.model_name = %(model_name)s
  AND r.started_at < %(before)s
  AND r.job_run_id < (
      SELECT max(job_run_id) FROM leadgate.job_runs WHERE model_name = %(model_name)s AND job = r.job
  )

-- drop_messages
-- Those of an event stay until the event itself is marked: without them it would be told again. Those of a cause stay
-- until none of its alerts is open: they say who has to be told of the end.
DELETE FROM leadgate.alert_messages m
WHERE m.model_name = %(model_name)s
  AND m.state = 'delivered'
  AND m.settled_at < %(before)s
  AND NOT EXISTS (SELECT FROM leadgate.events e WHERE e.event_id = m.event_id AND e.delivered_at IS NULL)
  AND NOT EXISTS (
      SELECT FROM leadgate.alerts a
      WHERE a.model_name = m.model_name AND a.resolved_at IS NULL AND m.thread = m.model_name || ': ' || a.cause
  )
