-- begin_retraining
INSERT INTO leadgate.retrainings (model_name, started_at, started_by, trigger, emergency, reason)
VALUES (%(model_name)s, %(started_at)s, %(started_by)s, %(trigger)s, %(emergency)s, %(reason)s)
RETURNING retraining_id

-- end_retraining
UPDATE leadgate.retrainings
SET ended_at = %(ended_at)s, result = %(result)s, sentence = %(sentence)s, version = %(version)s
WHERE retraining_id = %(retraining_id)s AND ended_at IS NULL

-- retrainings
SELECT retraining_id, model_name, started_at, started_by, trigger, emergency, reason, ended_at, result, sentence,
       version
FROM leadgate.retrainings
WHERE model_name = %(model_name)s
ORDER BY retraining_id DESC
LIMIT %(most)s

-- last_learnt
-- The last run whose leads are in a snapshot.
SELECT r.started_at, (s.details ->> 'version')::bigint
FROM leadgate.retrainings r
JOIN leadgate.retraining_steps s USING (retraining_id)
WHERE r.model_name = %(model_name)s AND s.step = 'snapshot'
ORDER BY r.retraining_id DESC
LIMIT 1

-- add_step
INSERT INTO leadgate.retraining_steps (retraining_id, step, done_at, details)
VALUES (%(retraining_id)s, %(step)s, %(done_at)s, %(details)s)

-- steps
SELECT step, done_at, details
FROM leadgate.retraining_steps
WHERE retraining_id = %(retraining_id)s
ORDER BY done_at, step

-- add_decision
INSERT INTO leadgate.retraining_decisions (model_name, decided_at, act, trigger, why_not, reason, triggers)
VALUES (%(model_name)s, %(decided_at)s, %(act)s, %(trigger)s, %(why_not)s, %(reason)s, %(triggers)s)

-- last_decisions
SELECT decision_id, decided_at, act, trigger, why_not, reason, triggers
FROM leadgate.retraining_decisions
WHERE model_name = %(model_name)s
ORDER BY decision_id DESC
LIMIT %(most)s

-- first_scores
-- Of each lead, with what the model saw.
COPY (
    SELECT DISTINCT ON (lead_id)
           lead_id,
           (extract(epoch FROM scored_at) * 1000000)::bigint AS scored_at,
           model_version,
           predicted_score,
           features::text AS features
    FROM leadgate.prediction_logs
    WHERE model_name = %(model_name)s AND scored_at <= %(until)s
    ORDER BY lead_id, scored_at, prediction_id
) TO STDOUT (FORMAT csv, HEADER)

-- new_outcomes
-- Leads of which a training at ``now`` knows what became of them, and one at ``since`` did not. ``known`` is the last
-- time that the CRM is known to have told everything.
WITH first AS (
    SELECT lead_id, min(scored_at) + %(window)s::interval AS matures_at
    FROM leadgate.prediction_logs
    WHERE model_name = %(model_name)s AND scored_at <= %(known)s::timestamptz - %(window)s::interval
    GROUP BY lead_id
),
told AS (
    SELECT lead_id, min(recorded_at) AS told_at
    FROM leadgate.lead_outcomes
    WHERE recorded_at <= %(known)s
    GROUP BY lead_id
)
SELECT count(*)
FROM first f
LEFT JOIN told t USING (lead_id)
WHERE (t.lead_id IS NOT NULL OR %(silence_is_loss)s)
  AND (f.matures_at > %(since)s OR (t.told_at > %(since)s AND NOT %(silence_is_loss)s))
  -- As the harvest has it: where silence is loss, no lead is learnt whose window overlaps an outage.
  AND NOT (%(silence_is_loss)s AND EXISTS (
      SELECT FROM unnest(%(outage_begins)s::timestamptz[], %(outage_ends)s::timestamptz[]) AS o (begins, ends)
      WHERE f.matures_at > o.begins AND f.matures_at - %(window)s::interval < o.ends
  ))
