-- add_events
-- In the order of their key: two deliveries of the same events at once wait for each other and do not lock up.
INSERT INTO leadgate.lead_events (lead_id, kind, at, known_at, value, recorded_at)
SELECT lead_id, kind, at, known_at, value, %(recorded_at)s
FROM unnest(
    %(leads)s::text[], %(kinds)s::text[], %(times)s::timestamptz[], %(known)s::timestamptz[], %(values)s::float8[]
) AS given (lead_id, kind, at, known_at, value)
ORDER BY lead_id, at, kind, value, known_at
ON CONFLICT DO NOTHING

-- events_of
SELECT kind, at, known_at, value, recorded_at
FROM leadgate.lead_events
WHERE lead_id = %(lead_id)s
ORDER BY at DESC, kind, value
LIMIT %(most)s

-- unknown_leads
-- Of some leads, those that were neither scored nor imported since there is a features.py.
SELECT asked.lead_id
FROM unnest(%(leads)s::text[]) AS asked (lead_id)
WHERE NOT EXISTS (SELECT FROM leadgate.prediction_logs p WHERE p.lead_id = asked.lead_id)
  AND NOT EXISTS (SELECT FROM leadgate.lead_columns c WHERE c.lead_id = asked.lead_id)
ORDER BY asked.lead_id

-- events_of_others
-- Events of leads that are not among some: how many, of how many leads, and the first of these.
WITH others AS (
    SELECT e.lead_id, count(*) AS events
    FROM leadgate.lead_events e
    WHERE NOT EXISTS (SELECT FROM unnest(%(leads)s::text[]) AS known (lead_id) WHERE known.lead_id = e.lead_id)
    GROUP BY e.lead_id
)
SELECT coalesce(sum(events), 0)::bigint, count(*), ARRAY(SELECT lead_id FROM others ORDER BY lead_id LIMIT %(most)s)
FROM others

-- look_up
-- One row for each lead that was asked for: its columns as last imported, and its events, oldest first.
SELECT asked.lead_id, columns.raw_values::text, events.found::text
FROM unnest(%(leads)s::text[]) AS asked (lead_id)
LEFT JOIN leadgate.lead_columns columns ON %(columns)s AND columns.lead_id = asked.lead_id
LEFT JOIN LATERAL (
    SELECT json_agg(
               json_build_array(e.kind, e.at, e.known_at, e.value, e.recorded_at)
               ORDER BY e.at, e.kind, e.value
           ) AS found
    FROM leadgate.lead_events e
    WHERE %(events)s AND e.lead_id = asked.lead_id
) events ON true

-- keep_columns
INSERT INTO leadgate.lead_columns (lead_id, raw_values, known_at)
SELECT lead_id, raw_values, %(known_at)s
FROM unnest(%(leads)s::text[], %(values)s::jsonb[]) AS given (lead_id, raw_values)
ORDER BY lead_id
ON CONFLICT (lead_id) DO UPDATE
SET raw_values = excluded.raw_values, known_at = excluded.known_at
WHERE %(over)s AND lead_columns.raw_values IS DISTINCT FROM excluded.raw_values

-- logged_features
SELECT lead_id, scored_at, model_version, features
FROM leadgate.prediction_logs
WHERE model_name = %(model_name)s
  AND scored_at >= %(since)s AND scored_at <= %(until)s
  AND model_version = ANY (%(versions)s)
ORDER BY scored_at DESC, prediction_id DESC
LIMIT %(most)s
