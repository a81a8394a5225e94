-- find_answer
SELECT request_sha256, answer
FROM leadgate.idempotent_answers
WHERE caller = %(caller)s AND idempotency_key = %(key)s AND answered_at >= %(since)s

-- remember_answer
-- An answer that has expired gives way to the new one; one that has not stays, and nothing is inserted.
INSERT INTO leadgate.idempotent_answers AS known (caller, idempotency_key, request_sha256, answer, answered_at)
VALUES (%(caller)s, %(key)s, %(request_sha256)s, %(answer)s, %(answered_at)s)
ON CONFLICT (caller, idempotency_key) DO UPDATE
SET request_sha256 = excluded.request_sha256, answer = excluded.answer, answered_at = excluded.answered_at
WHERE known.answered_at < %(since)s

-- forget_answers
DELETE FROM leadgate.idempotent_answers WHERE answered_at < %(since)s
