-- create_staged
CREATE TEMPORARY TABLE staged_outcomes (
    position bigint GENERATED ALWAYS AS IDENTITY,
    lead_id text NOT NULL,
    converted boolean NOT NULL,
    deal_size double precision,
    days_to_close double precision,
    outcome_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    source text NOT NULL
) ON COMMIT DROP

-- copy_staged
COPY staged_outcomes (lead_id, converted, deal_size, days_to_close, outcome_at, recorded_at, source) FROM STDIN

-- lock_leads
SELECT pg_advisory_xact_lock(hashtext('leadgate.lead_outcomes'))

-- record_staged
-- What a lead's last recorded outcome already says is not recorded again.
WITH last_recorded AS (
    SELECT DISTINCT ON (o.lead_id)
           o.lead_id, o.converted, o.deal_size, o.days_to_close, o.outcome_at
    FROM leadgate.lead_outcomes o
    WHERE o.lead_id IN (SELECT lead_id FROM staged_outcomes)
    ORDER BY o.lead_id, o.outcome_id DESC
),
known AS (
    SELECT 0 AS position, * FROM last_recorded
    UNION ALL
    SELECT position, lead_id, converted, deal_size, days_to_close, outcome_at FROM staged_outcomes
),
judged AS (
    SELECT position,
           (lag(converted) OVER before, lag(deal_size) OVER before, lag(days_to_close) OVER before,
            lag(outcome_at) OVER before)
           IS DISTINCT FROM (converted, deal_size, days_to_close, outcome_at) AS is_news
    FROM known
    WINDOW before AS (PARTITION BY lead_id ORDER BY position)
)
INSERT INTO leadgate.lead_outcomes
    (lead_id, converted, deal_size, days_to_close, outcome_at, recorded_at, source)
SELECT s.lead_id, s.converted, s.deal_size, s.days_to_close, s.outcome_at, s.recorded_at, s.source
FROM staged_outcomes s
JOIN judged USING (position)
WHERE judged.is_news
ORDER BY s.position

-- unknown_leads
SELECT DISTINCT s.lead_id
FROM staged_outcomes s
WHERE NOT EXISTS (SELECT FROM leadgate.prediction_logs p WHERE p.lead_id = s.lead_id)
ORDER BY s.lead_id

-- source_is_known
SELECT EXISTS (SELECT FROM leadgate.lead_outcomes WHERE source = %(source)s)

-- last_outcomes
COPY (
    SELECT DISTINCT ON (lead_id)
           lead_id,
           converted,
           deal_size,
           days_to_close,
           (extract(epoch FROM outcome_at) * 1000000)::bigint AS outcome_at
    FROM leadgate.lead_outcomes
    WHERE recorded_at <= %(until)s
    ORDER BY lead_id, outcome_id DESC
) TO STDOUT (FORMAT csv, HEADER)

-- outcomes_of
SELECT converted, deal_size, days_to_close, outcome_at, recorded_at, source
FROM leadgate.lead_outcomes
WHERE lead_id = %(lead_id)s
ORDER BY outcome_id DESC
LIMIT %(most)s
