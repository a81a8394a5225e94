-- all_keys
SELECT key_id, name, scopes, secret_sha256, requests_per_second, created_at, created_by, expires_at, revoked_at
FROM leadgate.api_keys
ORDER BY created_at, key_id

-- add_key
INSERT INTO leadgate.api_keys
    (key_id, name, scopes, secret_sha256, requests_per_second, created_at, created_by, expires_at)
VALUES
    (%(key_id)s, %(name)s, %(scopes)s, %(secret_sha256)s, %(requests_per_second)s, %(created_at)s, %(created_by)s,
     %(expires_at)s)

-- revoke_key
UPDATE leadgate.api_keys
SET revoked_at = %(at)s, revoked_by = %(by)s
WHERE key_id = %(key_id)s AND revoked_at IS NULL

-- tell_workers
SELECT pg_notify('leadgate_keys', %(key_id)s)
