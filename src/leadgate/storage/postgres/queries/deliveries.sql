-- outcome_hours
SELECT date_trunc('hour', recorded_at), count(*)
FROM leadgate.lead_outcomes
WHERE recorded_at > %(since)s AND recorded_at <= %(until)s
GROUP BY 1
ORDER BY 1

-- contact_hours
SELECT date_trunc('hour', recorded_at), count(*)
FROM leadgate.lead_contacts
WHERE recorded_at > %(since)s AND recorded_at <= %(until)s
GROUP BY 1
ORDER BY 1

-- last_outcome
SELECT recorded_at FROM leadgate.lead_outcomes WHERE recorded_at <= %(until)s ORDER BY outcome_id DESC LIMIT 1

-- last_contact
SELECT max(recorded_at) FROM leadgate.lead_contacts WHERE recorded_at <= %(until)s

-- waits
-- First contacts after a score; the latest suffice, with how many there are. A score older than a month is not what
-- made somebody call. Explored leads are left out: their priority is not that of their score.
WITH contacted AS MATERIALIZED (
    SELECT lead_id, min(contacted_at) AS contacted_at
    FROM leadgate.lead_contacts
    WHERE contacted_at > %(since)s AND contacted_at <= %(until)s AND recorded_at <= %(until)s
    GROUP BY lead_id
),
latest AS (
    SELECT lead_id, contacted_at
    FROM contacted
    ORDER BY contacted_at DESC
    LIMIT %(most)s
),
scored AS (
    SELECT p.priority, extract(epoch FROM c.contacted_at - p.scored_at)::double precision / 86400 AS days
    FROM latest c
    CROSS JOIN LATERAL (
        SELECT priority, explored, scored_at
        FROM leadgate.prediction_logs
        WHERE lead_id = c.lead_id AND model_name = %(model_name)s
          AND scored_at <= c.contacted_at AND scored_at > c.contacted_at - interval '30 days'
        ORDER BY scored_at DESC
        LIMIT 1
    ) AS p
    WHERE NOT p.explored
)
SELECT priority, count(*), avg(days), coalesce(var_pop(days) * count(*), 0), (SELECT count(*) FROM contacted)
FROM scored
GROUP BY priority
