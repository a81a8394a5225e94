-- logged_features
-- The same predictions each time: which ones, their ids decide.
SELECT features
FROM leadgate.prediction_logs
WHERE model_name = %(model_name)s AND scored_at >= %(since)s AND scored_at < %(until)s
  AND (hashtext(prediction_id::text) & 1048575) < %(share)s * 1048576
ORDER BY scored_at, prediction_id
