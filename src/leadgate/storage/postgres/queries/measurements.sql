-- add_measurement
INSERT INTO leadgate.service_measurements
    (service, worker, since, until, requests, failures, busy_s, peak_memory_bytes, latencies)
VALUES
    (%(service)s, %(worker)s, %(since)s, %(until)s, %(requests)s, %(failures)s, %(busy_s)s, %(peak_memory_bytes)s,
     %(latencies)s)
ON CONFLICT DO NOTHING

-- service_use
SELECT min(since), max(until), sum(requests)::bigint, sum(failures)::bigint, sum(busy_s), max(peak_memory_bytes),
       count(DISTINCT (service, worker)), sum(extract(epoch FROM until - since))
FROM leadgate.service_measurements
WHERE until > %(since)s AND until <= %(until)s

-- latencies
SELECT variant.key, bucket.ordinality, (bucket.value -> 0)::double precision, sum((bucket.value -> 1)::bigint)::bigint
FROM leadgate.service_measurements,
     jsonb_each(latencies) AS variant,
     jsonb_array_elements(variant.value) WITH ORDINALITY AS bucket
WHERE until > %(since)s AND until <= %(until)s
GROUP BY 1, 2, 3
ORDER BY 1, 2
