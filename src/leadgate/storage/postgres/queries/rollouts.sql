-- alive_rollout
SELECT rollout_id, model_name, champion, champion_digest, challenger, challenger_digest, challenger_author, salt,
       rules, design, started_at, started_by, ended_at
FROM leadgate.rollouts
WHERE model_name = %(model_name)s AND ended_at IS NULL

-- rollouts_of
SELECT rollout_id, model_name, champion, champion_digest, challenger, challenger_digest, challenger_author, salt,
       rules, design, started_at, started_by, ended_at
FROM leadgate.rollouts
WHERE model_name = %(model_name)s
ORDER BY rollout_id DESC
LIMIT %(most)s

-- lock_rollout
SELECT ended_at IS NULL FROM leadgate.rollouts WHERE rollout_id = %(rollout_id)s FOR UPDATE

-- add_rollout
INSERT INTO leadgate.rollouts
    (model_name, champion, champion_digest, challenger, challenger_digest, challenger_author, salt, rules, design,
     started_at, started_by)
VALUES
    (%(model_name)s, %(champion)s, %(champion_digest)s, %(challenger)s, %(challenger_digest)s, %(challenger_author)s,
     %(salt)s, %(rules)s, %(design)s, %(started_at)s, %(started_by)s)
ON CONFLICT (model_name) WHERE ended_at IS NULL DO NOTHING
RETURNING rollout_id

-- end_rollout
UPDATE leadgate.rollouts SET ended_at = %(ended_at)s WHERE rollout_id = %(rollout_id)s

-- steps_of
SELECT rollout_id, step, act, stage, paused_at, stage_since, extra_days, paused_days, extensions, finished,
       acted_at, acted_by, comment, evidence_id, route_epoch
FROM leadgate.rollout_steps
WHERE rollout_id = %(rollout_id)s
ORDER BY step

-- add_step
INSERT INTO leadgate.rollout_steps
    (rollout_id, step, act, stage, paused_at, stage_since, extra_days, paused_days, extensions, finished,
     acted_at, acted_by, comment, evidence_id, route_epoch)
VALUES
    (%(rollout_id)s, %(step)s, %(act)s, %(stage)s, %(paused_at)s, %(stage_since)s, %(extra_days)s, %(paused_days)s,
     %(extensions)s, %(finished)s, %(acted_at)s, %(acted_by)s, %(comment)s, %(evidence_id)s, %(route_epoch)s)

-- add_evidence
INSERT INTO leadgate.rollout_evidence (rollout_id, gathered_at, evidence, verdicts, act, reason)
VALUES (%(rollout_id)s, %(gathered_at)s, %(evidence)s, %(verdicts)s, %(act)s, %(reason)s)
RETURNING evidence_id

-- evidence_of
SELECT evidence_id, rollout_id, gathered_at, evidence::text AS evidence, verdicts::text AS verdicts, act, reason
FROM leadgate.rollout_evidence
WHERE rollout_id = %(rollout_id)s
ORDER BY evidence_id DESC
LIMIT %(most)s

-- add_approval
INSERT INTO leadgate.rollout_approvals (rollout_id, stage, stage_since, approved_at, approved_by, comment)
VALUES (%(rollout_id)s, %(stage)s, %(stage_since)s, %(approved_at)s, %(approved_by)s, %(comment)s)

-- approvals_of
SELECT stage, stage_since, approved_by, approved_at, comment
FROM leadgate.rollout_approvals
WHERE rollout_id = %(rollout_id)s
ORDER BY approval_id

-- open_post_mortem
INSERT INTO leadgate.post_mortems (rollout_id, step, opened_at, cause, evidence_id)
VALUES (%(rollout_id)s, %(step)s, %(opened_at)s, %(cause)s, %(evidence_id)s)

-- post_mortems_of
SELECT post_mortem_id, rollout_id, step, opened_at, cause, evidence_id, closed_at, closed_by, findings
FROM leadgate.post_mortems
WHERE rollout_id = %(rollout_id)s
ORDER BY post_mortem_id

-- close_post_mortem
UPDATE leadgate.post_mortems
SET closed_at = %(closed_at)s, closed_by = %(closed_by)s, findings = %(findings)s
WHERE rollout_id = %(rollout_id)s AND closed_at IS NULL

-- add_event
INSERT INTO leadgate.events (happened_at, kind, severity, subject, message, details)
VALUES (%(happened_at)s, %(kind)s, %(severity)s, %(subject)s, %(message)s, %(details)s)

-- event_is_known
SELECT EXISTS (
    SELECT FROM leadgate.events
    WHERE kind = %(kind)s AND subject = %(subject)s AND happened_at >= %(since)s
)

-- first_test
-- The planned test of a stage, as the first evaluation that could make it recorded it.
SELECT (evidence #> '{experiment,test}')::text
FROM leadgate.rollout_evidence
WHERE rollout_id = %(rollout_id)s AND gathered_at >= %(since)s
      AND jsonb_typeof(evidence #> '{experiment,test}') = 'object' AND evidence #>> '{state,stage}' = 'ab_test'
ORDER BY evidence_id
LIMIT 1

-- last_evidence
SELECT max(evidence_id) FROM leadgate.rollout_evidence WHERE rollout_id = %(rollout_id)s

-- set_design
UPDATE leadgate.rollouts SET design = %(design)s WHERE rollout_id = %(rollout_id)s AND design IS NULL

-- alive_rollouts
SELECT rollout_id, model_name, champion, champion_digest, challenger, challenger_digest, challenger_author, salt,
       rules, design, started_at, started_by, ended_at
FROM leadgate.rollouts
WHERE ended_at IS NULL
ORDER BY started_at

-- step_of_route
-- The step that put a route in force.
SELECT s.rollout_id, s.step, s.act, s.stage, s.paused_at, s.stage_since, s.extra_days, s.paused_days, s.extensions,
       s.finished, s.acted_at, s.acted_by, s.comment, s.evidence_id, s.route_epoch
FROM leadgate.rollout_steps s
JOIN leadgate.rollouts r USING (rollout_id)
WHERE r.model_name = %(model_name)s AND s.route_epoch = %(epoch)s
ORDER BY s.rollout_id DESC, s.step
LIMIT 1

-- judgement
SELECT evidence_id, rollout_id, gathered_at, evidence::text AS evidence, verdicts::text AS verdicts, act, reason
FROM leadgate.rollout_evidence
WHERE evidence_id = %(evidence_id)s

-- last_judgement
-- A stage begins at the moment of the evaluation that put the challenger there; that one is of the stage before.
SELECT evidence_id, rollout_id, gathered_at, evidence::text AS evidence, verdicts::text AS verdicts, act, reason
FROM leadgate.rollout_evidence
WHERE rollout_id = %(rollout_id)s AND gathered_at > %(since)s AND gathered_at <= %(until)s
ORDER BY gathered_at DESC, evidence_id DESC
LIMIT 1

-- looks_between
-- What the evaluations of a span saw of the experiment: the last of each part of it. The parts are chosen by their times
-- alone, so that of thousands of documents only those few are unpacked that are shown.
WITH chosen AS (
    SELECT DISTINCT ON (date_bin(%(every)s, gathered_at, %(since)s)) evidence_id
    FROM leadgate.rollout_evidence
    WHERE rollout_id = %(rollout_id)s AND gathered_at > %(since)s AND gathered_at <= %(until)s
    ORDER BY date_bin(%(every)s, gathered_at, %(since)s), gathered_at DESC, evidence_id DESC
),
unpacked AS MATERIALIZED (
    SELECT e.evidence_id, e.gathered_at, e.evidence -> 'experiment' AS trial
    FROM chosen
    JOIN leadgate.rollout_evidence e USING (evidence_id)
)
SELECT evidence_id,
       gathered_at,
       (trial #>> '{control,matured}')::bigint AS control_matured,
       (trial #>> '{treatment,matured}')::bigint AS treatment_matured,
       (trial ->> 'difference')::double precision AS difference,
       (trial #>> '{sequence,low}')::double precision AS low,
       (trial #>> '{sequence,high}')::double precision AS high,
       (trial ->> 'harm')::double precision AS harm,
       (trial ->> 'harm_threshold')::double precision AS harm_threshold
FROM unpacked
WHERE jsonb_typeof(trial) = 'object'
ORDER BY gathered_at, evidence_id

-- last_steps
-- The last act of each rollout of a model.
SELECT DISTINCT ON (s.rollout_id)
       s.rollout_id, s.step, s.act, s.stage, s.paused_at, s.stage_since, s.extra_days, s.paused_days, s.extensions,
       s.finished, s.acted_at, s.acted_by, s.comment, s.evidence_id, s.route_epoch
FROM leadgate.rollout_steps s
JOIN leadgate.rollouts r USING (rollout_id)
WHERE r.model_name = %(model_name)s
ORDER BY s.rollout_id, s.step DESC
