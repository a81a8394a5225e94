"""The worker's jobs: their runs, and how the evidence of rollouts that have ended becomes less."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_job_runs()
    _let_evidence_be_thinned()
    _let_services_write()


def _create_job_runs() -> None:
    op.create_table(
        "job_runs",
        sa.Column("job_run_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_by", sa.Text(), nullable=False, comment="worker, or the name of who ran it by hand"),
        sa.Column(
            "ended_at", sa.DateTime(timezone=True), nullable=True, comment="null while it runs, or where it died"
        ),
        sa.Column("result", sa.Text(), nullable=True, comment="null with ended_at"),
        sa.Column("sentence", sa.Text(), nullable=True, comment="what it did, or why it did not"),
        sa.Column("traceback", sa.Text(), nullable=True, comment="of a failure that nobody foresaw"),
        sa.CheckConstraint("result IN ('ok', 'refused', 'failed')", name=op.f("job_runs_result_known_check")),
        sa.CheckConstraint("(ended_at IS NULL) = (result IS NULL)", name=op.f("job_runs_ended_with_a_result_check")),
        sa.PrimaryKeyConstraint("job_run_id", name=op.f("job_runs_pkey")),
        schema="leadgate",
        comment="each run of a job, by the worker or by hand",
    )
    op.create_index(
        op.f("job_runs_model_name_job_job_run_id_idx"),
        "job_runs",
        ["model_name", "job", "job_run_id"],
        schema="leadgate",
    )


def _let_evidence_be_thinned() -> None:
    """One door through the guard of ``rollout_evidence``, and what may leave by it.

    A setting that the function alone makes opens it, so a DELETE by anybody, the owner included, is refused as before.
    """
    op.execute("""
        CREATE FUNCTION leadgate.refuse_change_save_thinning() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog AS $$
        BEGIN
            IF TG_OP = 'DELETE' AND current_setting('leadgate.thinning', true) = 'on' THEN
                RETURN NULL;
            END IF;
            RAISE EXCEPTION USING
                ERRCODE = 'restrict_violation',
                MESSAGE = format('%I.%I is append-only, %s is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP),
                HINT = 'What was written stays; write a new row that says what holds now.';
        END
        $$
    """)
    op.execute("DROP TRIGGER append_only ON leadgate.rollout_evidence")
    op.execute("""
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON leadgate.rollout_evidence
        FOR EACH STATEMENT EXECUTE FUNCTION leadgate.refuse_change_save_thinning()
    """)
    op.execute(r"""
        CREATE FUNCTION leadgate.thin_rollout_evidence(model text, ended_before timestamptz) RETURNS bigint
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
        DECLARE
            gone bigint;
        BEGIN
            PERFORM set_config('leadgate.thinning', 'on', true);
            WITH ended AS (
                SELECT rollout_id FROM leadgate.rollouts WHERE model_name = model AND ended_at < ended_before
            ),
            held AS (
                SELECT e.evidence_id, e.rollout_id, e.gathered_at,
                       coalesce(jsonb_typeof(e.evidence #> '{experiment,test}') = 'object', false) AS tested
                FROM leadgate.rollout_evidence e
                JOIN ended USING (rollout_id)
                WHERE e.act = 'hold'
            ),
            kept AS (
                (SELECT DISTINCT ON (rollout_id, date_trunc('day', gathered_at, 'UTC')) evidence_id
                 FROM held
                 ORDER BY rollout_id, date_trunc('day', gathered_at, 'UTC'), evidence_id DESC)
                UNION ALL
                SELECT min(evidence_id) FROM held WHERE tested GROUP BY rollout_id
                UNION ALL
                SELECT evidence_id FROM leadgate.rollout_steps
                UNION ALL
                SELECT evidence_id FROM leadgate.post_mortems
                UNION ALL
                SELECT substring(details FROM '"evidence_id":(\d+)')::bigint
                FROM leadgate.audit_log
                WHERE starts_with(act, 'rollout.')
            )
            -- EXCEPT, for it sorts or hashes whatever the planner believes of the sizes.
            DELETE FROM leadgate.rollout_evidence
            WHERE evidence_id IN (SELECT evidence_id FROM held EXCEPT SELECT evidence_id FROM kept);
            GET DIAGNOSTICS gone = ROW_COUNT;
            PERFORM set_config('leadgate.thinning', 'off', true);
            RETURN gone;
        END
        $$
    """)
    op.execute("REVOKE ALL ON FUNCTION leadgate.thin_rollout_evidence(text, timestamptz) FROM PUBLIC")


def _let_services_write() -> None:
    """The role of a service, where this server has it: see migration 0003."""
    found = op.get_bind().execute(sa.text("SELECT FROM pg_roles WHERE rolname = 'leadgate_writer'")).first()
    if found is not None:
        op.execute("GRANT SELECT, INSERT ON leadgate.job_runs TO leadgate_writer")
        op.execute("GRANT UPDATE (ended_at, result, sentence, traceback) ON leadgate.job_runs TO leadgate_writer")
