-- all_keys
SELECT key_id, name, scopes, secret_sha256, requests_per_second, created_at, created_by, expires_at, revoked_at
FROM leadgate.api_keys
ORDER BY created_at, key_id
