-- hold_job
-- Until the transaction ends. Whoever dies lets go.
SELECT pg_try_advisory_xact_lock(hashtextextended('leadgate.job ' || %(model_name)s || ' ' || %(job)s, 0))

-- wait_idly
SET LOCAL idle_in_transaction_session_timeout = 0

-- start_run
INSERT INTO leadgate.job_runs (model_name, job, started_at, started_by)
VALUES (%(model_name)s, %(job)s, %(started_at)s, %(started_by)s)
RETURNING job_run_id

-- end_run
UPDATE leadgate.job_runs
SET ended_at = %(ended_at)s, result = %(result)s, sentence = %(sentence)s, traceback = %(traceback)s
WHERE job_run_id = %(job_run_id)s

-- close_dead_runs
UPDATE leadgate.job_runs
SET ended_at = %(ended_at)s, result = 'failed', sentence = %(sentence)s
WHERE model_name = %(model_name)s AND job = %(job)s AND ended_at IS NULL

-- last_runs
SELECT DISTINCT ON (job) job_run_id, job, started_at, started_by, ended_at, result, sentence, traceback
FROM leadgate.job_runs
WHERE model_name = %(model_name)s
ORDER BY job, job_run_id DESC

-- runs_of
SELECT job_run_id, job, started_at, started_by, ended_at, result, sentence, traceback
FROM leadgate.job_runs
WHERE model_name = %(model_name)s AND job = %(job)s
ORDER BY job_run_id DESC
LIMIT %(most)s

-- failures
-- Of each job, since it last ended otherwise.
WITH others AS MATERIALIZED (
    SELECT job, coalesce(max(job_run_id) FILTER (WHERE result <> 'failed'), 0) AS last
    FROM leadgate.job_runs
    WHERE model_name = %(model_name)s
    GROUP BY job
)
SELECT r.job, count(*)
FROM leadgate.job_runs r
JOIN others o ON o.job = r.job AND r.job_run_id > o.last
WHERE r.model_name = %(model_name)s AND r.result = 'failed'
GROUP BY r.job

-- untold_failures
-- How often a job failed since it last ended otherwise, and the last of these runs; nothing where people know.
WITH failed AS (
    SELECT count(*) AS times, max(job_run_id) AS last, min(job_run_id) AS first
    FROM leadgate.job_runs
    WHERE model_name = %(model_name)s AND job = %(job)s AND result = 'failed'
      AND job_run_id > coalesce(
          (SELECT max(job_run_id) FROM leadgate.job_runs
           WHERE model_name = %(model_name)s AND job = %(job)s AND result <> 'failed'), 0)
)
SELECT f.times, f.last, r.sentence
FROM failed f
JOIN leadgate.job_runs r ON r.job_run_id = f.last
WHERE NOT EXISTS (
    SELECT
    FROM leadgate.events
    WHERE kind = 'job failed' AND subject = %(subject)s AND (details ->> 'job_run_id')::bigint >= f.first
)

-- jobs_held
-- The jobs whose lock somebody has: PostgreSQL shows the key of a lock in two halves.
SELECT job
FROM unnest(%(jobs)s::text[]) AS job
JOIN pg_locks l
  ON l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
 AND ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended('leadgate.job ' || %(model_name)s || ' ' || job, 0)
 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
