-- standing
SELECT (SELECT max(checked_at) FROM leadgate.check_results WHERE model_name = %(model_name)s),
       count(*) FILTER (WHERE severity = 'yellow'),
       count(*) FILTER (WHERE severity = 'red')
FROM leadgate.alerts
WHERE model_name = %(model_name)s AND resolved_at IS NULL
