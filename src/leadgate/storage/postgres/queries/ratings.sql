-- add_rating
INSERT INTO leadgate.sales_ratings (model_name, rated_at, rated_by, rating, model_version, comment, recorded_at)
VALUES (%(model_name)s, %(rated_at)s, %(rated_by)s, %(rating)s, %(model_version)s, %(comment)s, %(recorded_at)s)

-- rating_figures
SELECT count(*), avg(rating), stddev_samp(rating), count(DISTINCT rated_by)
FROM leadgate.sales_ratings
WHERE model_name = %(model_name)s AND rated_at > %(since)s AND rated_at <= %(until)s
      AND (model_version IS NULL OR %(model_version)s::text IS NULL OR model_version = %(model_version)s)

-- ratings
SELECT model_name, rated_at, rated_by, rating, model_version, comment, recorded_at
FROM leadgate.sales_ratings
WHERE model_name = %(model_name)s AND rated_at > %(since)s
ORDER BY rated_at DESC
LIMIT %(most)s
