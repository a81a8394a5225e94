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
-- From job to job along the index: a job that runs each minute has a hundred thousand runs.
WITH RECURSIVE jobs AS (
    (SELECT job FROM leadgate.job_runs WHERE model_name = %(model_name)s ORDER BY job LIMIT 1)
    UNION ALL
    SELECT (
        SELECT r.job FROM leadgate.job_runs r WHERE r.model_name = %(model_name)s AND r.job > jobs.job ORDER BY r.job LIMIT 1
    )
    FROM jobs
    WHERE jobs.job IS NOT NULL
)
SELECT last.job_run_id, last.job, last.started_at, last.started_by, last.ended_at, last.result, last.sentence, last.traceback
FROM jobs
CROSS JOIN LATERAL (
    SELECT r.*
    FROM leadgate.job_runs r
    WHERE r.model_name = %(model_name)s AND r.job = jobs.job
    ORDER BY r.job_run_id DESC
    LIMIT 1
) AS last

-- runs_of
SELECT job_run_id, job, started_at, started_by, ended_at, result, sentence, traceback
FROM leadgate.job_runs
WHERE model_name = %(model_name)s AND job = %(job)s
ORDER BY job_run_id DESC
LIMIT %(most)s

-- failures
-- Of each job, since it last ended otherwise; from job to job, as above.
WITH RECURSIVE jobs AS (
    (SELECT job FROM leadgate.job_runs WHERE model_name = %(model_name)s ORDER BY job LIMIT 1)
    UNION ALL
    SELECT (
        SELECT r.job FROM leadgate.job_runs r WHERE r.model_name = %(model_name)s AND r.job > jobs.job ORDER BY r.job LIMIT 1
    )
    FROM jobs
    WHERE jobs.job IS NOT NULL
)
SELECT jobs.job, failed.times
FROM jobs
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE r.result = 'failed') AS times
    FROM leadgate.job_runs r
    WHERE r.model_name = %(model_name)s AND r.job = jobs.job
      AND r.job_run_id > coalesce(
          (SELECT o.job_run_id FROM leadgate.job_runs o
           WHERE o.model_name = %(model_name)s AND o.job = jobs.job AND o.result <> 'failed'
           ORDER BY o.job_run_id DESC LIMIT 1), 0)
) AS failed
WHERE jobs.job IS NOT NULL AND failed.times > 0

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
