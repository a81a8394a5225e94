-- present_route
SELECT model_name, epoch, stage, champion, champion_digest, challenger, challenger_digest, share, salt,
       challenger_high, challenger_medium, champion_high, champion_medium, changed_at, changed_by, reason
FROM leadgate.routes
WHERE model_name = %(model_name)s
ORDER BY epoch DESC
LIMIT 1

-- routes_of
SELECT model_name, epoch, stage, champion, champion_digest, challenger, challenger_digest, share, salt,
       challenger_high, challenger_medium, champion_high, champion_medium, changed_at, changed_by, reason
FROM leadgate.routes
WHERE model_name = %(model_name)s
ORDER BY epoch DESC
LIMIT %(most)s

-- route_of_epoch
SELECT model_name, epoch, stage, champion, champion_digest, challenger, challenger_digest, share, salt,
       challenger_high, challenger_medium, champion_high, champion_medium, changed_at, changed_by, reason
FROM leadgate.routes
WHERE model_name = %(model_name)s AND epoch = %(epoch)s

-- add_route
INSERT INTO leadgate.routes
    (model_name, epoch, stage, champion, champion_digest, challenger, challenger_digest, share, salt,
     challenger_high, challenger_medium, champion_high, champion_medium, changed_at, changed_by, reason)
VALUES
    (%(model_name)s, %(epoch)s, %(stage)s, %(champion)s, %(champion_digest)s, %(challenger)s,
     %(challenger_digest)s, %(share)s, %(salt)s, %(challenger_high)s, %(challenger_medium)s,
     %(champion_high)s, %(champion_medium)s, %(changed_at)s, %(changed_by)s, %(reason)s)
ON CONFLICT DO NOTHING

-- tell_workers
SELECT pg_notify('leadgate_routes', %(model_name)s)
