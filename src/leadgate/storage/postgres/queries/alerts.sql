-- lock_alerts
-- Whoever moves the alerts of a model moves them alone, to the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('leadgate alerts ' || %(model_name)s, 0))

-- heard
-- Of each length of window the last runs; of these what each check said of each subject, the last run first. A length
-- that has not been run for long, by its own pace, while others have, is left out: somebody's one look, or a setting that
-- has changed. Where nothing has been run for long, nobody was there to run it.
WITH runs AS (
    SELECT run_id, checked_at, length,
           row_number() OVER (PARTITION BY length ORDER BY checked_at DESC, run_id DESC) AS place,
           lead(checked_at) OVER (PARTITION BY length ORDER BY checked_at DESC, run_id DESC) AS before
    FROM (
        SELECT DISTINCT run_id, checked_at, extract(epoch FROM window_until - window_since)::double precision AS length
        FROM leadgate.check_results
        WHERE model_name = %(model_name)s AND checked_at > %(since)s AND checked_at <= %(now)s
    ) AS found
),
alive AS (
    SELECT length
    FROM runs
    WHERE place = 1
      AND %(most)s > (
          SELECT count(*)
          FROM runs other
          WHERE other.length <> runs.length AND other.checked_at >= runs.checked_at
                + greatest(interval '1 day', 2 * coalesce(runs.checked_at - runs.before, interval '0'))
      )
)
SELECT runs.length, runs.place, runs.checked_at, r.area, r.check_name, r.subject, r.severity, r.sentence
FROM runs
JOIN alive USING (length)
JOIN leadgate.check_results r USING (run_id, checked_at)
WHERE runs.place <= %(most)s
ORDER BY runs.length, runs.place, r.result_id

-- arms
-- Since when the present champion is the champion, and the present challenger (or nobody) the challenger; nothing of an arm
-- that never changed.
WITH named AS (
    SELECT epoch, changed_at, 'champion' AS subject, champion_digest AS digest
    FROM leadgate.routes
    WHERE model_name = %(model_name)s
    UNION ALL
    SELECT epoch, changed_at, 'challenger', challenger_digest
    FROM leadgate.routes
    WHERE model_name = %(model_name)s
),
present AS (
    SELECT DISTINCT ON (subject) subject, digest
    FROM named
    ORDER BY subject, epoch DESC
)
SELECT n.subject, min(n.changed_at) AS since
FROM named n
JOIN present USING (subject)
WHERE n.epoch > (
    SELECT max(o.epoch)
    FROM named o
    WHERE o.subject = n.subject AND o.digest IS DISTINCT FROM present.digest
)
GROUP BY n.subject

-- open_alerts
SELECT alert_id, model_name, area, check_name, subject, cause, state, severity, severity_since, sentence, opened_at,
       raised_by, told_severity, told_at, acknowledged_at, acknowledged_by, resolved_at
FROM leadgate.alerts
WHERE model_name = %(model_name)s AND resolved_at IS NULL
ORDER BY alert_id

-- alerts_of
SELECT alert_id, model_name, area, check_name, subject, cause, state, severity, severity_since, sentence, opened_at,
       raised_by, told_severity, told_at, acknowledged_at, acknowledged_by, resolved_at
FROM leadgate.alerts
WHERE model_name = %(model_name)s
ORDER BY resolved_at IS NOT NULL, alert_id DESC
LIMIT %(most)s

-- find_alert
SELECT alert_id, model_name, area, check_name, subject, cause, state, severity, severity_since, sentence, opened_at,
       raised_by, told_severity, told_at, acknowledged_at, acknowledged_by, resolved_at
FROM leadgate.alerts
WHERE model_name = %(model_name)s AND alert_id = %(alert_id)s

-- add_alert
INSERT INTO leadgate.alerts
    (model_name, area, check_name, subject, cause, state, severity, severity_since, sentence, opened_at, raised_by,
     told_severity, told_at, acknowledged_at, acknowledged_by, resolved_at)
VALUES
    (%(model_name)s, %(area)s, %(check_name)s, %(subject)s, %(cause)s, %(state)s, %(severity)s, %(severity_since)s,
     %(sentence)s, %(opened_at)s, %(raised_by)s, %(told_severity)s, %(told_at)s, %(acknowledged_at)s,
     %(acknowledged_by)s, %(resolved_at)s)
RETURNING alert_id

-- change_alert
UPDATE leadgate.alerts
SET state = %(state)s, severity = %(severity)s, severity_since = %(severity_since)s, sentence = %(sentence)s,
    raised_by = %(raised_by)s, told_severity = %(told_severity)s, told_at = %(told_at)s,
    acknowledged_at = %(acknowledged_at)s, acknowledged_by = %(acknowledged_by)s, resolved_at = %(resolved_at)s
WHERE alert_id = %(alert_id)s

-- add_history
INSERT INTO leadgate.alert_history (alert_id, happened_at, event, state, severity, actor, comment)
VALUES (%(alert_id)s, %(happened_at)s, %(event)s, %(state)s, %(severity)s, %(actor)s, %(comment)s)

-- history_of
SELECT alert_id, happened_at, event, state, severity, actor, comment
FROM leadgate.alert_history
WHERE alert_id = %(alert_id)s
ORDER BY history_id

-- add_silence
INSERT INTO leadgate.alert_silences (model_name, check_pattern, subject_pattern, since, until, reason, silenced_by)
VALUES (%(model_name)s, %(check_pattern)s, %(subject_pattern)s, %(since)s, %(until)s, %(reason)s, %(silenced_by)s)
RETURNING silence_id

-- silences_of
SELECT silence_id, check_pattern, subject_pattern, since, until, reason, silenced_by, ended_by
FROM leadgate.alert_silences
WHERE model_name = %(model_name)s AND until > %(after)s
ORDER BY silence_id DESC

-- end_silence
UPDATE leadgate.alert_silences
SET until = %(at)s, ended_by = %(ended_by)s
WHERE model_name = %(model_name)s AND silence_id = %(silence_id)s AND until > %(at)s

-- add_message
INSERT INTO leadgate.alert_messages
    (message_id, model_name, channel, kind, severity, thread, about, title, body, written_at, state, due_at, attempts,
     event_id)
VALUES
    (%(message_id)s, %(model_name)s, %(channel)s, %(kind)s, %(severity)s, %(thread)s, %(about)s, %(title)s, %(body)s,
     %(written_at)s, 'waiting', %(written_at)s, 0, %(event_id)s)

-- channels_told
-- Those that were told of alerts, to be told of their end while others of their cause are open.
SELECT DISTINCT channel
FROM leadgate.alert_messages
WHERE model_name = %(model_name)s AND about && %(about)s
ORDER BY channel

-- channels_open
-- Those in which an incident is open, to be told that all of it is over: whichever of its alerts they were told of.
SELECT channel
FROM (
    SELECT DISTINCT ON (channel) channel, kind
    FROM leadgate.alert_messages
    WHERE model_name = %(model_name)s AND thread = %(thread)s
    ORDER BY channel, message_no DESC
) AS last
WHERE kind <> 'resolved'
ORDER BY channel

-- lock_events
SELECT pg_advisory_xact_lock(hashtextextended('leadgate events', 0))

-- new_events
-- Events of this model of which no message was written. Those of long ago are no news.
SELECT e.event_id, e.happened_at, e.kind, e.severity, e.subject, e.message
FROM leadgate.events e
LEFT JOIN leadgate.rollouts r ON e.subject = 'rollout ' || r.rollout_id
WHERE e.delivered_at IS NULL AND e.happened_at > %(since)s AND e.happened_at <= %(now)s
      AND coalesce(r.model_name, e.details ->> 'model', %(model_name)s) = %(model_name)s
      AND NOT EXISTS (SELECT FROM leadgate.alert_messages m WHERE m.event_id = e.event_id)
ORDER BY e.event_id

-- channels_waiting
SELECT channel
FROM leadgate.alert_messages
WHERE model_name = %(model_name)s AND state = 'waiting' AND due_at <= %(now)s
      AND (claimed_until IS NULL OR claimed_until <= %(now)s)
GROUP BY channel
ORDER BY min(message_no)

-- claim
-- The first message of a channel that is due, is nobody's, and comes after no other that waits and is about the same, or
-- of the same cause: parties open and close incidents by cause. None while the channel's party asks for patience.
UPDATE leadgate.alert_messages
SET claim = %(claim)s, claimed_until = %(until)s, attempts = attempts + 1
WHERE message_no = (
    SELECT m.message_no
    FROM leadgate.alert_messages m
    WHERE m.model_name = %(model_name)s AND m.channel = %(channel)s AND m.state = 'waiting' AND m.due_at <= %(now)s
          AND (m.claimed_until IS NULL OR m.claimed_until <= %(now)s)
          AND NOT EXISTS (
              SELECT
              FROM leadgate.alert_messages earlier
              WHERE earlier.model_name = m.model_name AND earlier.channel = m.channel AND earlier.state = 'waiting'
                    AND earlier.message_no < m.message_no AND (earlier.about && m.about OR earlier.thread = m.thread)
          )
          AND NOT EXISTS (
              SELECT
              FROM leadgate.alert_messages held
              WHERE held.model_name = m.model_name AND held.channel = m.channel AND held.state = 'waiting'
                    AND held.claim IS NULL AND held.claimed_until > %(now)s
          )
    ORDER BY m.message_no
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING message_no, message_id::text, model_name, channel, kind, severity, thread, about, title, body, written_at,
          state, due_at, attempts, last_error, settled_at, event_id

-- mark_delivered
-- Whoever holds it now: it is delivered.
UPDATE leadgate.alert_messages
SET state = 'delivered', settled_at = %(now)s, claim = NULL, claimed_until = NULL, last_error = NULL
WHERE message_no = %(message_no)s AND state = 'waiting'

-- mark_failed
UPDATE leadgate.alert_messages
SET state = CASE WHEN %(dead)s THEN 'dead' ELSE 'waiting' END, settled_at = CASE WHEN %(dead)s THEN %(now)s::timestamptz END,
    due_at = %(due_at)s, claim = NULL, claimed_until = NULL, last_error = %(error)s
WHERE message_no = %(message_no)s AND claim = %(claim)s AND state = 'waiting'

-- hold_channel
-- A party that asks for patience asks for all that goes to it. What is claimed by nobody until a time holds back what is
-- written meanwhile, too.
UPDATE leadgate.alert_messages
SET due_at = %(until)s, claimed_until = %(until)s
WHERE model_name = %(model_name)s AND channel = %(channel)s AND state = 'waiting' AND claim IS NULL
      AND due_at <= %(until)s

-- bury
-- Those that were tried as often as may be, by deliverers that died each time.
UPDATE leadgate.alert_messages
SET state = 'dead', settled_at = %(now)s, claim = NULL, claimed_until = NULL,
    last_error = coalesce(last_error, 'whoever delivered it died each time')
WHERE model_name = %(model_name)s AND state = 'waiting' AND attempts >= %(attempts)s AND claimed_until <= %(now)s

-- settle_events
UPDATE leadgate.events e
SET delivered_at = %(now)s
WHERE e.delivered_at IS NULL
      AND EXISTS (SELECT FROM leadgate.alert_messages m WHERE m.event_id = e.event_id AND m.state = 'delivered')
      AND NOT EXISTS (SELECT FROM leadgate.alert_messages m WHERE m.event_id = e.event_id AND m.state = 'waiting')

-- undelivered
SELECT message_no, message_id::text, model_name, channel, kind, severity, thread, about, title, body, written_at,
       state, due_at, attempts, last_error, settled_at, event_id
FROM leadgate.alert_messages
WHERE model_name = %(model_name)s AND state <> 'delivered'
ORDER BY message_no
LIMIT %(most)s

-- messages_about
SELECT message_no, message_id::text, model_name, channel, kind, severity, thread, about, title, body, written_at,
       state, due_at, attempts, last_error, settled_at, event_id
FROM leadgate.alert_messages
WHERE model_name = %(model_name)s AND about && %(about)s
ORDER BY message_no

-- revive
-- What was given up, unless a later message of its cause has arrived: an alarm that comes after its end would stay. Each
-- event is news by itself.
UPDATE leadgate.alert_messages m
SET state = 'waiting', settled_at = NULL, due_at = %(now)s, claimed_until = NULL, attempts = 0
WHERE m.model_name = %(model_name)s
      AND (m.state = 'dead' OR (m.state = 'waiting' AND m.claim IS NULL AND m.due_at > %(now)s))
      AND (%(channel)s::text IS NULL OR m.channel = %(channel)s)
      AND (m.state = 'waiting' OR m.kind = 'event' OR NOT EXISTS (
          SELECT
          FROM leadgate.alert_messages later
          WHERE later.model_name = m.model_name AND later.channel = m.channel AND later.thread = m.thread
                AND later.message_no > m.message_no AND later.state = 'delivered'
      ))

-- resolved_alerts
SELECT alert_id, model_name, area, check_name, subject, cause, state, severity, severity_since, sentence, opened_at,
       raised_by, told_severity, told_at, acknowledged_at, acknowledged_by, resolved_at
FROM leadgate.alerts
WHERE model_name = %(model_name)s AND resolved_at IS NOT NULL
      AND (%(severity)s::text IS NULL OR severity = %(severity)s)
      AND (%(check)s::text IS NULL OR check_name = %(check)s)
      AND (%(before)s::bigint IS NULL OR alert_id < %(before)s)
ORDER BY alert_id DESC
LIMIT %(most)s

-- told_of
-- To which channels a message about each was written, and whether one arrived.
SELECT t.name, m.channel, bool_or(m.state = 'delivered') AS delivered
FROM leadgate.alert_messages m, unnest(m.about) AS t (name)
WHERE m.model_name = %(model_name)s AND m.about && %(about)s AND t.name = ANY(%(about)s)
GROUP BY t.name, m.channel
ORDER BY t.name, m.channel

-- channel_states
WITH kept AS (
    SELECT channel,
           count(*) FILTER (WHERE state = 'waiting') AS waiting,
           count(*) FILTER (WHERE state = 'dead') AS dead,
           max(settled_at) FILTER (WHERE state = 'delivered') AS delivered_at,
           max(message_no) FILTER (WHERE last_error IS NOT NULL) AS failed_no
    FROM leadgate.alert_messages
    WHERE model_name = %(model_name)s
    GROUP BY channel
)
SELECT kept.channel, kept.waiting, kept.dead, kept.delivered_at, m.last_error
FROM kept
LEFT JOIN leadgate.alert_messages m ON m.message_no = kept.failed_no
ORDER BY kept.channel
