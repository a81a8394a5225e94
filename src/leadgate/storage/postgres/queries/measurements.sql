-- add_measurement
INSERT INTO leadgate.service_measurements
    (model_name, service, worker, since, until, requests, failures, busy_s, peak_memory_bytes, latencies,
     answers_by_variant, failures_by_variant, shadow_asked, shadow_failed)
VALUES
    (%(model_name)s, %(service)s, %(worker)s, %(since)s, %(until)s, %(requests)s, %(failures)s, %(busy_s)s, %(peak_memory_bytes)s,
     %(latencies)s, %(answers_by_variant)s, %(failures_by_variant)s, %(shadow_asked)s, %(shadow_failed)s)
ON CONFLICT DO NOTHING

-- service_load
-- What service_use says of requests and time, without looking into the counts of each minute.
SELECT min(since), max(until), sum(requests)::bigint, sum(busy_s), sum(extract(epoch FROM until - since))
FROM leadgate.service_measurements
WHERE model_name = %(model_name)s AND until > %(since)s AND until <= %(until)s

-- service_use
SELECT min(since), max(until), sum(requests)::bigint, sum(failures)::bigint, sum(busy_s), max(peak_memory_bytes),
       sum(extract(epoch FROM until - since)), sum(shadow_asked)::bigint, sum(shadow_failed)::bigint
FROM leadgate.service_measurements
WHERE model_name = %(model_name)s AND until > %(since)s AND until <= %(until)s

-- latencies
-- By upper edge, not by place: workers of two releases may have counted into other buckets. Null is above every edge.
SELECT variant.key, (bucket.value -> 0)::double precision, sum((bucket.value -> 1)::bigint)::bigint
FROM leadgate.service_measurements,
     jsonb_each(latencies) AS variant,
     jsonb_array_elements(variant.value) AS bucket
WHERE model_name = %(model_name)s AND until > %(since)s AND until <= %(until)s
GROUP BY 1, 2

-- leads_by_variant
SELECT side, variant, sum(leads)::bigint
FROM (
    SELECT 'answers' AS side, key AS variant, value::bigint AS leads
    FROM leadgate.service_measurements, jsonb_each_text(answers_by_variant)
    WHERE model_name = %(model_name)s AND until > %(since)s AND until <= %(until)s
    UNION ALL
    SELECT 'failures', key, value::bigint
    FROM leadgate.service_measurements, jsonb_each_text(failures_by_variant)
    WHERE model_name = %(model_name)s AND until > %(since)s AND until <= %(until)s
) AS counted
GROUP BY 1, 2
