-- add_result
INSERT INTO leadgate.check_results
    (run_id, model_name, checked_at, window_since, window_until, area, check_name, subject, severity, sentence, value,
     threshold, low, high, level, sample, p_value, family, weight, details)
VALUES
    (%(run_id)s, %(model_name)s, %(checked_at)s, %(since)s, %(until)s, %(area)s, %(check_name)s, %(subject)s,
     %(severity)s, %(sentence)s, %(value)s, %(threshold)s, %(low)s, %(high)s, %(level)s, %(sample)s, %(p_value)s,
     %(family)s, %(weight)s, %(details)s)

-- last_runs
SELECT run_id::text, checked_at, min(window_since), max(window_until),
       count(*) FILTER (WHERE severity = 'red'), count(*) FILTER (WHERE severity = 'yellow'),
       count(*) FILTER (WHERE severity = 'unknown'), count(*)
FROM leadgate.check_results
WHERE model_name = %(model_name)s AND checked_at >= %(since)s
GROUP BY run_id, checked_at
ORDER BY checked_at DESC, run_id DESC
LIMIT %(most)s

-- results_of_run
SELECT run_id::text, model_name, checked_at, window_since AS since, window_until AS until, area, check_name, subject,
       severity, sentence, value, threshold, low, high, level, sample, p_value, family, weight, details
FROM leadgate.check_results
WHERE run_id = %(run_id)s
ORDER BY result_id

-- matured_scores
-- A lead counts by its first score in the span, with the last outcome that was recorded; see outcomes/matching.py. The
-- score's bin is that of leads/layout.py: above k / 10,000 and not above (k + 1) / 10,000.
-- Where silence says nothing, only leads with an outcome are sorted: of ten million scores a day that is the most of it;
-- and outcomes that were recorded before the span tell of no score in it (a day is left for clocks that differ).
WITH last AS MATERIALIZED (
    SELECT DISTINCT ON (lead_id) lead_id, converted, deal_size, days_to_close, outcome_at
    FROM leadgate.lead_outcomes
    WHERE recorded_at <= %(now)s AND (%(silence_is_loss)s OR recorded_at >= %(since)s::timestamptz - interval '1 day')
    ORDER BY lead_id, outcome_id DESC
),
scored AS (
    SELECT lead_id, scored_at, prediction_id, predicted_score,
           coalesce(own_priority, priority) = 'high' AS own_high, explored
    FROM leadgate.prediction_logs
    WHERE %(silence_is_loss)s
      AND model_name = %(model_name)s AND scored_at >= %(since)s AND scored_at <= %(until)s
      AND (%(version)s::text IS NULL OR model_version = %(version)s)
    UNION ALL
    SELECT lead_id, scored_at, prediction_id, predicted_score,
           coalesce(own_priority, priority) = 'high' AS own_high, explored
    FROM leadgate.prediction_logs
    JOIN last USING (lead_id)
    WHERE NOT %(silence_is_loss)s
      AND model_name = %(model_name)s AND scored_at >= %(since)s AND scored_at <= %(until)s
      AND (%(version)s::text IS NULL OR model_version = %(version)s)
),
first AS (
    SELECT DISTINCT ON (lead_id) lead_id, scored_at, predicted_score, own_high, explored
    FROM scored
    ORDER BY lead_id, scored_at, prediction_id
),
judged AS (
    SELECT greatest(0, ceil(f.predicted_score * 10000 - 1e-9) - 1)::integer AS bin,
           coalesce(o.converted AND o.outcome_at <= f.scored_at + %(window)s, false) AS won,
           f.own_high,
           f.explored,
           o.deal_size,
           o.days_to_close
    FROM first f
    LEFT JOIN last o USING (lead_id)
    WHERE o.outcome_at >= f.scored_at OR (o.lead_id IS NULL AND %(silence_is_loss)s)
)
SELECT bin, won, count(*),
       count(deal_size), avg(deal_size), coalesce(var_pop(deal_size) * count(deal_size), 0),
       count(days_to_close), avg(days_to_close), coalesce(var_pop(days_to_close) * count(days_to_close), 0),
       own_high, explored
FROM judged
GROUP BY bin, won, own_high, explored

-- coverage
-- Leads of which an outcome or a contact was recorded in the span; the last ones of each suffice.
WITH reported AS (
    SELECT lead_id
    FROM (
        SELECT lead_id
        FROM leadgate.lead_outcomes
        WHERE recorded_at > %(since)s AND recorded_at <= %(until)s
        ORDER BY outcome_id DESC
        LIMIT 20000
    ) AS latest_outcomes
    UNION
    SELECT lead_id
    FROM (
        SELECT lead_id
        FROM leadgate.lead_contacts
        WHERE recorded_at > %(since)s AND recorded_at <= %(until)s
        ORDER BY recorded_at DESC
        LIMIT 20000
    ) AS latest_contacts
)
SELECT count(*),
       count(*) FILTER (
           WHERE EXISTS (SELECT FROM leadgate.prediction_logs p WHERE p.lead_id = reported.lead_id)
       )
FROM reported

-- reported_time
SELECT coalesce(
    (SELECT sum(extract(epoch FROM upper(span) - lower(span)))
     FROM (
         SELECT unnest(range_agg(tstzrange(greatest(since, %(since)s), until))) AS span
         FROM leadgate.service_measurements
         WHERE model_name = %(model_name)s AND until > %(since)s AND until <= %(until)s
               AND greatest(since, %(since)s) < until
     ) AS spans),
    0
)

-- first_and_last_report
-- A worker is known from the begin of the first span on; spans of other workers end a minute later at most.
SELECT (
           SELECT since FROM leadgate.service_measurements
           WHERE model_name = %(model_name)s AND until <= %(until)s
           ORDER BY until
           LIMIT 1
       ),
       (SELECT max(until) FROM leadgate.service_measurements WHERE model_name = %(model_name)s AND until <= %(until)s)

-- latest_run
-- The last run that judged a window of this length, or of any.
SELECT run_id::text, checked_at, window_since, window_until
FROM leadgate.check_results
WHERE model_name = %(model_name)s AND checked_at <= %(now)s
      AND (%(length_s)s::double precision IS NULL
           OR abs(extract(epoch FROM window_until - window_since) - %(length_s)s) < 1)
ORDER BY checked_at DESC
LIMIT 1

-- history_of_checks
-- The last run in each slot of time, found by the index; then the results of those runs alone.
WITH shown AS MATERIALIZED (
    SELECT slots.slot, found.run_id
    FROM generate_series(%(since)s::timestamptz, %(until)s::timestamptz, %(every)s::interval) AS slots (slot)
    CROSS JOIN LATERAL (
        SELECT run_id
        FROM leadgate.check_results
        WHERE model_name = %(model_name)s AND checked_at > slots.slot AND checked_at <= slots.slot + %(every)s
              AND checked_at <= %(until)s
              AND abs(extract(epoch FROM window_until - window_since) - %(length_s)s) < 1
        ORDER BY checked_at DESC
        LIMIT 1
    ) AS found
)
SELECT found.check_name, found.subject, shown.slot, found.value, found.threshold, found.severity
FROM shown
CROSS JOIN LATERAL (
    SELECT check_name, subject, value, threshold, severity
    FROM leadgate.check_results
    WHERE run_id = shown.run_id AND check_name = ANY(%(checks)s)
    OFFSET 0
) AS found
ORDER BY found.check_name, found.subject, shown.slot

-- runs_by_length
-- From run to run, each a step over the index, and of those the last one over each length of window.
WITH RECURSIVE runs AS (
    (
        SELECT run_id, checked_at, window_since, window_until
        FROM leadgate.check_results
        WHERE model_name = %(model_name)s AND checked_at > %(since)s AND checked_at <= %(now)s
        ORDER BY checked_at DESC
        LIMIT 1
    )
    UNION ALL
    SELECT before.run_id, before.checked_at, before.window_since, before.window_until
    FROM runs
    CROSS JOIN LATERAL (
        SELECT run_id, checked_at, window_since, window_until
        FROM leadgate.check_results
        WHERE model_name = %(model_name)s AND checked_at > %(since)s AND checked_at < runs.checked_at
        ORDER BY checked_at DESC
        LIMIT 1
    ) AS before
)
SELECT DISTINCT ON (lengths.length_s) run_id::text, checked_at, window_since, window_until
FROM runs
JOIN unnest(%(lengths_s)s::double precision[]) AS lengths (length_s)
    ON abs(extract(epoch FROM window_until - window_since) - lengths.length_s) < 1
ORDER BY lengths.length_s, checked_at DESC

-- figures_over_time
-- As history_of_checks does it: the last run in each slot of time, and its results.
WITH shown AS MATERIALIZED (
    SELECT found.run_id
    FROM generate_series(%(since)s::timestamptz, %(until)s::timestamptz, %(every)s::interval) AS slots (slot)
    CROSS JOIN LATERAL (
        SELECT run_id
        FROM leadgate.check_results
        WHERE model_name = %(model_name)s AND checked_at > slots.slot AND checked_at <= slots.slot + %(every)s
              AND checked_at <= %(until)s
              AND abs(extract(epoch FROM window_until - window_since) - %(length_s)s) < 1
        ORDER BY checked_at DESC
        LIMIT 1
    ) AS found
)
SELECT found.checked_at, found.value, found.threshold, found.severity, found.details
FROM shown
CROSS JOIN LATERAL (
    SELECT checked_at, value, threshold, severity, details
    FROM leadgate.check_results
    WHERE run_id = shown.run_id AND check_name = %(check)s AND subject = %(subject)s
    OFFSET 0
) AS found
ORDER BY found.checked_at

-- last_in_spans
SELECT spans.version, found.checked_at, found.value, found.low, found.high, found.sample, found.severity, found.sentence
FROM unnest(%(versions)s::text[], %(subjects)s::text[], %(since)s::timestamptz[], %(until)s::timestamptz[])
    AS spans (version, subject, since, until)
CROSS JOIN LATERAL (
    SELECT checked_at, value, low, high, sample, severity, sentence
    FROM leadgate.check_results
    WHERE model_name = %(model_name)s AND checked_at >= spans.since AND checked_at < spans.until
          AND check_name = %(check)s AND subject = spans.subject AND value IS NOT NULL
    ORDER BY checked_at DESC
    LIMIT 1
) AS found
