-- serialise_queues
SELECT pg_advisory_xact_lock(hashtext('leadgate.jobs'))

-- schema_comment
SELECT obj_description(to_regnamespace(%(schema)s)::oid, 'pg_namespace')

-- is_there
SELECT to_regclass(%(schema)s || '.procrastinate_jobs') IS NOT NULL

-- drop_schema
DROP SCHEMA IF EXISTS {schema} CASCADE

-- create_schema
CREATE SCHEMA {schema}

-- comment_schema
COMMENT ON SCHEMA {schema} IS {comment}

-- enter_schema
SELECT set_config('search_path', %(schema)s, false)

-- work_for
SELECT set_config('leadgate.project', %(project)s, false)

-- mark_workers
-- Procrastinate signs a worker on with the defaults of its columns.
ALTER TABLE {schema}.procrastinate_workers
ADD COLUMN IF NOT EXISTS project text DEFAULT nullif(current_setting('leadgate.project', true), '')

-- workers_are_marked
SELECT EXISTS (
    SELECT FROM pg_attribute
    WHERE attrelid = to_regclass(%(schema)s || '.procrastinate_workers') AND attname = 'project' AND NOT attisdropped
)

-- live_workers
-- As JSON, since a queue that an earlier release made has no such column: whose worker it is, is not known then.
SELECT count(*)
FROM {schema}.procrastinate_workers w
WHERE last_heartbeat > now() - make_interval(secs => %(seconds)s)
  AND (%(project)s::text IS NULL OR coalesce(to_jsonb(w) ->> 'project', %(project)s) = %(project)s)

-- waiting
SELECT task_name, scheduled_at, attempts
FROM {schema}.procrastinate_jobs
WHERE queue_name = ANY(%(queues)s) AND status = 'todo'
ORDER BY id

-- bring_forward
UPDATE {schema}.procrastinate_jobs SET scheduled_at = now()
WHERE queue_name = ANY(%(queues)s) AND status = 'todo' AND scheduled_at > now()
  AND task_name = %(task_name)s
