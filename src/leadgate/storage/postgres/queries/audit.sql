-- lock_log
-- Whoever appends next waits for this transaction to end: then the last entry is the last one for both.
SELECT pg_advisory_xact_lock(hashtext('leadgate.audit_log'))

-- last_entry
SELECT entry, encode(sha256, 'hex') FROM leadgate.audit_log ORDER BY entry DESC LIMIT 1

-- add_entry
INSERT INTO leadgate.audit_log (entry, happened_at, actor, act, subject, details, previous_sha256, sha256)
VALUES
    (%(entry)s, %(happened_at)s::timestamptz, %(actor)s, %(act)s, %(subject)s, %(details)s,
     decode(%(previous_sha256)s, 'hex'), decode(%(sha256)s, 'hex'))

-- chain
-- A time out of the calendar can only be a forged one; it is shown as PostgreSQL writes it, and fits no digest.
-- The stretch goes by number, not by time: clocks differ, and a stretch of a chain has no gaps.
SELECT entry,
       CASE WHEN happened_at BETWEEN '0001-01-01 00:00+00' AND '9999-12-31 23:59:59.999999+00'
            THEN to_char(happened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
            ELSE happened_at::text END AS happened_at,
       actor, act, subject, details,
       encode(previous_sha256, 'hex') AS previous_sha256,
       encode(sha256, 'hex') AS sha256
FROM leadgate.audit_log
WHERE (%(since)s::timestamptz IS NULL
       OR entry >= (SELECT min(entry) FROM leadgate.audit_log WHERE happened_at >= %(since)s))
  AND (%(until)s::timestamptz IS NULL
       OR entry <= (SELECT max(entry) FROM leadgate.audit_log WHERE happened_at < %(until)s))
ORDER BY entry

-- latest
SELECT entry,
       CASE WHEN happened_at BETWEEN '0001-01-01 00:00+00' AND '9999-12-31 23:59:59.999999+00'
            THEN to_char(happened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
            ELSE happened_at::text END AS happened_at,
       actor, act, subject, details,
       encode(previous_sha256, 'hex') AS previous_sha256,
       encode(sha256, 'hex') AS sha256
FROM leadgate.audit_log
WHERE (%(since)s::timestamptz IS NULL OR happened_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR happened_at < %(until)s)
  AND (%(act)s::text IS NULL OR act = %(act)s OR starts_with(act, %(act)s || '.'))
  AND (%(subject)s::text IS NULL OR subject = %(subject)s)
  AND (%(actor)s::text IS NULL OR actor = %(actor)s)
  AND (%(before)s::bigint IS NULL OR entry < %(before)s)
ORDER BY entry DESC
LIMIT %(most)s

-- protection
SELECT current_user::text AS connected_as,
       has_table_privilege('leadgate.audit_log', 'UPDATE')
           OR has_table_privilege('leadgate.audit_log', 'DELETE')
           OR has_table_privilege('leadgate.audit_log', 'TRUNCATE') AS may_change,
       EXISTS (SELECT FROM pg_roles WHERE rolname = 'leadgate_writer') AS has_writer,
       ARRAY(
           SELECT guarded.name
           FROM unnest(%(guarded)s::text[]) AS guarded (name)
           WHERE NOT EXISTS (
               SELECT FROM pg_trigger t
               WHERE t.tgrelid = to_regclass('leadgate.' || guarded.name)
                 AND t.tgname = 'append_only' AND t.tgenabled IN ('O', 'A')
           )
           ORDER BY guarded.name
       ) AS unguarded
