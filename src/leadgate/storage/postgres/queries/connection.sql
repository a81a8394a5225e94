-- count_in_utc
SELECT set_config('TimeZone', 'UTC', false)

-- limit_statements
SELECT set_config('statement_timeout', %(limit)s, false)

-- commit_durably
-- Never less than what a team asks for: remote_apply stays.
SELECT set_config('synchronous_commit', 'on', true)
WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')
