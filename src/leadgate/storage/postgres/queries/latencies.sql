-- latencies_by
-- Leads of requests with more than a few leads apart from the others, by version.
SELECT model_version, batch_size > %(few)s, count(*), avg(batch_size)::double precision, avg(latency_ms),
       count(*) FILTER (WHERE latency_ms > %(slow_ms)s)
FROM leadgate.prediction_logs
WHERE model_name = %(model_name)s AND scored_at > %(since)s AND scored_at <= %(until)s
GROUP BY 1, 2
ORDER BY 1, 2
