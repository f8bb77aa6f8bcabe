"""first tables"""

import sqlalchemy as sa
from alembic import op

import db.types

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "blob",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=True),
        sa.Column("uri", sa.Text(), nullable=True),
        sa.Column("made_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("blob_pkey")),
    )
    op.create_table(
        "event_head",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("one", name=op.f("event_head_pkey")),
    )
    op.create_table(
        "person",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("made_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("disabled_at", db.types.UtcTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("person_pkey")),
        sa.UniqueConstraint("name", name=op.f("person_name_key")),
    )
    op.create_table(
        "project",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("made_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("project_pkey")),
        sa.UniqueConstraint("name", name=op.f("project_name_key")),
    )
    op.create_table(
        "secret_key",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("active_from", db.types.UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("secret_key_pkey")),
        sa.UniqueConstraint("purpose", "fingerprint", name=op.f("secret_key_purpose_fingerprint_key")),
    )
    op.create_table(
        "activity",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("for_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("before", db.types.Json(), nullable=True),
        sa.Column("after", db.types.Json(), nullable=True),
        sa.ForeignKeyConstraint(["actor_id"], ["person.id"], name=op.f("activity_actor_id_fkey")),
        sa.ForeignKeyConstraint(["for_id"], ["person.id"], name=op.f("activity_for_id_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("activity_project_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("activity_pkey")),
    )
    with op.batch_alter_table("activity", schema=None) as batch_op:
        batch_op.create_index("activity_project", ["project_id", "id"], unique=False)

    op.create_table(
        "api_key",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("scopes", db.types.Json(), nullable=False),
        sa.Column("made_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("expires_at", db.types.UtcTime(timezone=True), nullable=True),
        sa.Column("revoked_at", db.types.UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("api_key_person_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("api_key_pkey")),
        sa.UniqueConstraint("hash", name=op.f("api_key_hash_key")),
    )
    op.create_table(
        "dataset",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("watermark", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("spec", db.types.Json(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("manifest", db.types.Json(), nullable=False),
        sa.Column("made_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["made_by"], ["person.id"], name=op.f("dataset_made_by_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("dataset_project_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("dataset_pkey")),
        sa.UniqueConstraint("project_id", "content_hash", name=op.f("dataset_project_id_content_hash_key")),
    )
    op.create_table(
        "item_key",
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("item_key_project_id_fkey")),
        sa.PrimaryKeyConstraint("item_id", name=op.f("item_key_pkey")),
        sa.UniqueConstraint("project_id", "external_id", name=op.f("item_key_project_id_external_id_key")),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("args", db.types.Json(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("progress", sa.Float(), nullable=False),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("result", db.types.Json(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("ready_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("asked_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("asked_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("ended_at", db.types.UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["asked_by"], ["person.id"], name=op.f("job_asked_by_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("job_project_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("job_pkey")),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.create_index("job_project", ["project_id", "id"], unique=False)
        batch_op.create_index(
            "job_ready",
            ["ready_at"],
            unique=False,
            postgresql_where=sa.text("state IN ('waiting', 'running')"),
            sqlite_where=sa.text("state IN ('waiting', 'running')"),
        )

    op.create_table(
        "model",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trainer", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("labels", db.types.Json(), nullable=False),
        sa.Column("schema_hash", sa.Text(), nullable=False),
        sa.Column("datasets", db.types.Json(), nullable=False),
        sa.Column("figures", db.types.Json(), nullable=False),
        sa.Column("made_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["made_by"], ["person.id"], name=op.f("model_made_by_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("model_project_id_fkey")),
        sa.ForeignKeyConstraint(["sha256"], ["blob.sha256"], name=op.f("model_sha256_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("model_pkey")),
        sa.UniqueConstraint("project_id", "version", name=op.f("model_project_id_version_key")),
    )
    op.create_table(
        "policy_version",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("body", db.types.Json(), nullable=False),
        sa.Column("applied_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("applied_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["applied_by"], ["person.id"], name=op.f("policy_version_applied_by_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("policy_version_project_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("policy_version_pkey")),
        sa.UniqueConstraint("project_id", "content_hash", name=op.f("policy_version_project_id_content_hash_key")),
    )
    op.create_table(
        "project_version",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("body", db.types.Json(), nullable=False),
        sa.Column("applied_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("applied_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["applied_by"], ["person.id"], name=op.f("project_version_applied_by_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("project_version_project_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("project_version_pkey")),
        sa.UniqueConstraint("project_id", "content_hash", name=op.f("project_version_project_id_content_hash_key")),
    )
    op.create_table(
        "evidence_period",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("model_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("score", sa.Text(), nullable=False),
        sa.Column("grid", db.types.Json(), nullable=False),
        sa.Column("opened_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("closed_at", db.types.UtcTime(timezone=True), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("evidence_period_model_id_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("evidence_period_project_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("evidence_period_pkey")),
    )
    op.create_table(
        "item",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_version_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("input", sa.Text(), nullable=True),
        sa.Column("show", sa.Text(), nullable=True),
        sa.Column("groups", sa.Text(), nullable=True),
        sa.Column("subject_hash", sa.Text(), nullable=True),
        sa.Column("received_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["item_key.item_id"], name=op.f("item_id_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("item_project_id_fkey")),
        sa.ForeignKeyConstraint(["project_version_id"], ["project_version.id"], name=op.f("item_project_version_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("item_pkey")),
    )
    with op.batch_alter_table("item", schema=None) as batch_op:
        batch_op.create_index(
            "item_subject",
            ["project_id", "subject_hash"],
            unique=False,
            postgresql_where=sa.text("subject_hash IS NOT NULL"),
            sqlite_where=sa.text("subject_hash IS NOT NULL"),
        )

    op.create_table(
        "model_alias",
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("model_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("since", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("model_alias_model_id_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("model_alias_project_id_fkey")),
        sa.ForeignKeyConstraint(["set_by"], ["person.id"], name=op.f("model_alias_set_by_fkey")),
        sa.PrimaryKeyConstraint("project_id", "alias", name=op.f("model_alias_pkey")),
    )
    op.create_table(
        "proposal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("model_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("against_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("comparison", db.types.Json(), nullable=True),
        sa.Column("signers", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("made_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("made_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("applied_at", db.types.UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["against_id"], ["model.id"], name=op.f("proposal_against_id_fkey")),
        sa.ForeignKeyConstraint(["made_by"], ["person.id"], name=op.f("proposal_made_by_fkey")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("proposal_model_id_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("proposal_project_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("proposal_pkey")),
    )
    op.create_table(
        "dataset_item",
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("dataset_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name=op.f("dataset_item_dataset_id_fkey")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("dataset_item_item_id_fkey")),
        sa.PrimaryKeyConstraint("item_id", "dataset_id", name=op.f("dataset_item_pkey")),
    )
    op.create_table(
        "event",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("body", db.types.Json(), nullable=False),
        sa.Column("made_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("event_item_id_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("event_project_id_fkey")),
        sa.PrimaryKeyConstraint("seq", name=op.f("event_pkey")),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("event_feed", ["project_id", "seq"], unique=False)
        batch_op.create_index("event_item", ["item_id"], unique=False)

    op.create_table(
        "explanation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("model_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("params_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("body", db.types.Json(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("made_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("explanation_item_id_fkey")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("explanation_model_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("explanation_pkey")),
        sa.UniqueConstraint(
            "item_id",
            "model_id",
            "method",
            "label",
            "params_hash",
            name=op.f("explanation_item_id_model_id_method_label_params_hash_key"),
        ),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("body", db.types.Json(), nullable=False),
        sa.Column("made_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("ready_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("outbox_item_id_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("outbox_project_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("outbox_pkey")),
        postgresql_with={"fillfactor": 80, "autovacuum_vacuum_scale_factor": 0.01, "autovacuum_analyze_scale_factor": 0.01},
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index("outbox_item", ["item_id", "id"], unique=False)

    op.create_table(
        "prediction",
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("model_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("probabilities", db.types.Json(), nullable=False),
        sa.Column("scored_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("prediction_item_id_fkey")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("prediction_model_id_fkey")),
        sa.PrimaryKeyConstraint("item_id", "model_id", name=op.f("prediction_pkey")),
    )
    op.create_table(
        "routing_rule",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("period_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("policy_version_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("thresholds", db.types.Json(), nullable=False),
        sa.Column("audit_rate", sa.Float(), nullable=False),
        sa.Column("pi_min", sa.Float(), nullable=False),
        sa.Column("vetoes", db.types.Json(), nullable=False),
        sa.Column("draw_key_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("made_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["draw_key_id"], ["secret_key.id"], name=op.f("routing_rule_draw_key_id_fkey")),
        sa.ForeignKeyConstraint(["period_id"], ["evidence_period.id"], name=op.f("routing_rule_period_id_fkey")),
        sa.ForeignKeyConstraint(["policy_version_id"], ["policy_version.id"], name=op.f("routing_rule_policy_version_id_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("routing_rule_project_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("routing_rule_pkey")),
    )
    op.create_table(
        "signature",
        sa.Column("proposal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("signed_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("signature_person_id_fkey")),
        sa.ForeignKeyConstraint(["proposal_id"], ["proposal.id"], name=op.f("signature_proposal_id_fkey")),
        sa.PrimaryKeyConstraint("proposal_id", "person_id", name=op.f("signature_pkey")),
    )
    op.create_table(
        "task",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("routing_n", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("seat", sa.Integer(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("assignee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("rank", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("due_at", db.types.UtcTime(timezone=True), nullable=True),
        sa.Column("skips", sa.Integer(), nullable=False),
        sa.Column("made_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("closed_at", db.types.UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["assignee_id"], ["person.id"], name=op.f("task_assignee_id_fkey")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("task_item_id_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("task_project_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("task_pkey")),
        sa.UniqueConstraint("item_id", "routing_n", "kind", "seat", name=op.f("task_item_id_routing_n_kind_seat_key")),
        postgresql_with={"fillfactor": 80, "autovacuum_vacuum_scale_factor": 0.01, "autovacuum_analyze_scale_factor": 0.01},
    )
    with op.batch_alter_table("task", schema=None) as batch_op:
        batch_op.create_index(
            "task_held",
            ["project_id"],
            unique=False,
            postgresql_where=sa.text("state = 'in_progress'"),
            sqlite_where=sa.text("state = 'in_progress'"),
        )
        batch_op.create_index(
            "task_next",
            ["project_id", "audience", "rank", "id"],
            unique=False,
            postgresql_where=sa.text("state = 'pending'"),
            sqlite_where=sa.text("state = 'pending'"),
        )

    op.create_table(
        "work",
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("ready_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("work_item_id_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("work_project_id_fkey")),
        sa.PrimaryKeyConstraint("item_id", "kind", name=op.f("work_pkey")),
        postgresql_with={"fillfactor": 80, "autovacuum_vacuum_scale_factor": 0.01, "autovacuum_analyze_scale_factor": 0.01},
    )
    with op.batch_alter_table("work", schema=None) as batch_op:
        batch_op.create_index("work_ready", ["project_id", "kind", "ready_at", "item_id"], unique=False)

    op.create_table(
        "claim",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("task_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("taken_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("expires_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("closed_at", db.types.UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("claim_item_id_fkey")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("claim_person_id_fkey")),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("claim_task_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("claim_pkey")),
        sa.UniqueConstraint("token", name=op.f("claim_token_key")),
        postgresql_with={"fillfactor": 80, "autovacuum_vacuum_scale_factor": 0.01, "autovacuum_analyze_scale_factor": 0.01},
    )
    with op.batch_alter_table("claim", schema=None) as batch_op:
        batch_op.create_index(
            "claim_expiry",
            ["expires_at"],
            unique=False,
            postgresql_where=sa.text("state = 'held'"),
            sqlite_where=sa.text("state = 'held'"),
        )
        batch_op.create_index(
            "claim_item_person",
            ["item_id", "person_id"],
            unique=True,
            postgresql_where=sa.text("state IN ('held', 'answered', 'skipped')"),
            sqlite_where=sa.text("state IN ('held', 'answered', 'skipped')"),
        )
        batch_op.create_index(
            "claim_person",
            ["person_id", "session"],
            unique=False,
            postgresql_where=sa.text("state = 'held'"),
            sqlite_where=sa.text("state = 'held'"),
        )
        batch_op.create_index(
            "claim_task_held",
            ["task_id"],
            unique=True,
            postgresql_where=sa.text("state = 'held'"),
            sqlite_where=sa.text("state = 'held'"),
        )

    op.create_table(
        "draw",
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("period_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("routing_rule_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("band", sa.Integer(), nullable=False),
        sa.Column("p", sa.Float(), nullable=False),
        sa.Column("key_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("drawn_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.Column("due_at", db.types.UtcTime(timezone=True), nullable=True),
        sa.Column("resolved_at", db.types.UtcTime(timezone=True), nullable=True),
        sa.Column("resolved_as", sa.Text(), nullable=True),
        sa.Column("loss", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["key_id"], ["secret_key.id"], name=op.f("draw_key_id_fkey")),
        sa.ForeignKeyConstraint(["period_id"], ["evidence_period.id"], name=op.f("draw_period_id_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("draw_project_id_fkey")),
        sa.ForeignKeyConstraint(["routing_rule_id"], ["routing_rule.id"], name=op.f("draw_routing_rule_id_fkey")),
        sa.PrimaryKeyConstraint("item_id", "n", "purpose", name=op.f("draw_pkey")),
    )
    with op.batch_alter_table("draw", schema=None) as batch_op:
        batch_op.create_index(
            "draw_due",
            ["due_at"],
            unique=False,
            postgresql_where=sa.text("resolved_at IS NULL"),
            sqlite_where=sa.text("resolved_at IS NULL"),
        )
        batch_op.create_index(
            "draw_evidence",
            ["period_id", "routing_rule_id", "segment", "band", "p", "loss"],
            unique=False,
            postgresql_where=sa.text("purpose = 'evidence' AND loss IS NOT NULL"),
            sqlite_where=sa.text("purpose = 'evidence' AND loss IS NOT NULL"),
        )
        batch_op.create_index(
            "draw_open",
            ["period_id", "item_id"],
            unique=False,
            postgresql_where=sa.text("purpose = 'evidence' AND resolved_at IS NULL"),
            sqlite_where=sa.text("purpose = 'evidence' AND resolved_at IS NULL"),
        )

    op.create_table(
        "project_control",
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_version_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("policy_version_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("routing_rule_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("frozen_at", db.types.UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["policy_version_id"], ["policy_version.id"], name=op.f("project_control_policy_version_id_fkey")
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("project_control_project_id_fkey")),
        sa.ForeignKeyConstraint(
            ["project_version_id"], ["project_version.id"], name=op.f("project_control_project_version_id_fkey")
        ),
        sa.ForeignKeyConstraint(["routing_rule_id"], ["routing_rule.id"], name=op.f("project_control_routing_rule_id_fkey")),
        sa.PrimaryKeyConstraint("project_id", name=op.f("project_control_pkey")),
    )
    op.create_table(
        "routing",
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("period_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("routing_rule_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("model_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("band", sa.Integer(), nullable=False),
        sa.Column("p_evidence", sa.Float(), nullable=False),
        sa.Column("p_second", sa.Float(), nullable=False),
        sa.Column("pi", sa.Float(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("routed_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("routing_item_id_fkey")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("routing_model_id_fkey")),
        sa.ForeignKeyConstraint(["period_id"], ["evidence_period.id"], name=op.f("routing_period_id_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("routing_project_id_fkey")),
        sa.ForeignKeyConstraint(["routing_rule_id"], ["routing_rule.id"], name=op.f("routing_routing_rule_id_fkey")),
        sa.PrimaryKeyConstraint("item_id", "n", name=op.f("routing_pkey")),
    )
    with op.batch_alter_table("routing", schema=None) as batch_op:
        batch_op.create_index(
            "routing_evidence",
            ["period_id", "routing_rule_id", "segment", "band", "p_evidence"],
            unique=False,
            postgresql_include=["item_id"],
            postgresql_where=sa.text("band > 0"),
            sqlite_where=sa.text("band > 0"),
        )
        batch_op.create_index("routing_project", ["project_id", "item_id"], unique=False)

    op.create_table(
        "decision",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("task_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("claim_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("recorded_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("reasons_shown", db.types.Json(), nullable=True),
        sa.Column("supersedes_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("decided_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["claim_id"], ["claim.id"], name=op.f("decision_claim_id_fkey")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("decision_item_id_fkey")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("decision_person_id_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("decision_project_id_fkey")),
        sa.ForeignKeyConstraint(["recorded_by"], ["person.id"], name=op.f("decision_recorded_by_fkey")),
        sa.ForeignKeyConstraint(["supersedes_id"], ["decision.id"], name=op.f("decision_supersedes_id_fkey")),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("decision_task_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("decision_pkey")),
        sa.UniqueConstraint("key", name=op.f("decision_key_key")),
        sa.UniqueConstraint("supersedes_id", name=op.f("decision_supersedes_id_key")),
    )
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.create_index("decision_item", ["item_id"], unique=False)
        batch_op.create_index("decision_person", ["person_id", "decided_at"], unique=False)
        batch_op.create_index("decision_project", ["project_id", "decided_at"], unique=False)
        batch_op.create_index("decision_task", ["task_id"], unique=False)

    op.create_table(
        "outcome",
        sa.Column("item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("routing_n", sa.Integer(), nullable=False),
        sa.Column("decision_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("decided_at", db.types.UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["decision_id"], ["decision.id"], name=op.f("outcome_decision_id_fkey")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("outcome_item_id_fkey")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("outcome_project_id_fkey")),
        sa.PrimaryKeyConstraint("item_id", "revision", name=op.f("outcome_pkey")),
    )
    with op.batch_alter_table("outcome", schema=None) as batch_op:
        batch_op.create_index("outcome_project", ["project_id", "decided_at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("outcome", schema=None) as batch_op:
        batch_op.drop_index("outcome_project")

    op.drop_table("outcome")
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.drop_index("decision_task")
        batch_op.drop_index("decision_project")
        batch_op.drop_index("decision_person")
        batch_op.drop_index("decision_item")

    op.drop_table("decision")
    with op.batch_alter_table("routing", schema=None) as batch_op:
        batch_op.drop_index("routing_project")
        batch_op.drop_index(
            "routing_evidence",
            postgresql_include=["item_id"],
            postgresql_where=sa.text("band > 0"),
            sqlite_where=sa.text("band > 0"),
        )

    op.drop_table("routing")
    op.drop_table("project_control")
    with op.batch_alter_table("draw", schema=None) as batch_op:
        batch_op.drop_index(
            "draw_open",
            postgresql_where=sa.text("purpose = 'evidence' AND resolved_at IS NULL"),
            sqlite_where=sa.text("purpose = 'evidence' AND resolved_at IS NULL"),
        )
        batch_op.drop_index(
            "draw_evidence",
            postgresql_where=sa.text("purpose = 'evidence' AND loss IS NOT NULL"),
            sqlite_where=sa.text("purpose = 'evidence' AND loss IS NOT NULL"),
        )
        batch_op.drop_index(
            "draw_due", postgresql_where=sa.text("resolved_at IS NULL"), sqlite_where=sa.text("resolved_at IS NULL")
        )

    op.drop_table("draw")
    with op.batch_alter_table("claim", schema=None) as batch_op:
        batch_op.drop_index("claim_task_held", postgresql_where=sa.text("state = 'held'"), sqlite_where=sa.text("state = 'held'"))
        batch_op.drop_index("claim_person", postgresql_where=sa.text("state = 'held'"), sqlite_where=sa.text("state = 'held'"))
        batch_op.drop_index(
            "claim_item_person",
            postgresql_where=sa.text("state IN ('held', 'answered', 'skipped')"),
            sqlite_where=sa.text("state IN ('held', 'answered', 'skipped')"),
        )
        batch_op.drop_index("claim_expiry", postgresql_where=sa.text("state = 'held'"), sqlite_where=sa.text("state = 'held'"))

    op.drop_table("claim")
    with op.batch_alter_table("work", schema=None) as batch_op:
        batch_op.drop_index("work_ready")

    op.drop_table("work")
    with op.batch_alter_table("task", schema=None) as batch_op:
        batch_op.drop_index("task_next", postgresql_where=sa.text("state = 'pending'"), sqlite_where=sa.text("state = 'pending'"))
        batch_op.drop_index(
            "task_held", postgresql_where=sa.text("state = 'in_progress'"), sqlite_where=sa.text("state = 'in_progress'")
        )

    op.drop_table("task")
    op.drop_table("signature")
    op.drop_table("routing_rule")
    op.drop_table("prediction")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index("outbox_item")

    op.drop_table("outbox")
    op.drop_table("explanation")
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index("event_item")
        batch_op.drop_index("event_feed")

    op.drop_table("event")
    op.drop_table("dataset_item")
    op.drop_table("proposal")
    op.drop_table("model_alias")
    with op.batch_alter_table("item", schema=None) as batch_op:
        batch_op.drop_index(
            "item_subject", postgresql_where=sa.text("subject_hash IS NOT NULL"), sqlite_where=sa.text("subject_hash IS NOT NULL")
        )

    op.drop_table("item")
    op.drop_table("evidence_period")
    op.drop_table("project_version")
    op.drop_table("policy_version")
    op.drop_table("model")
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_index(
            "job_ready",
            postgresql_where=sa.text("state IN ('waiting', 'running')"),
            sqlite_where=sa.text("state IN ('waiting', 'running')"),
        )
        batch_op.drop_index("job_project")

    op.drop_table("job")
    op.drop_table("item_key")
    op.drop_table("dataset")
    op.drop_table("api_key")
    with op.batch_alter_table("activity", schema=None) as batch_op:
        batch_op.drop_index("activity_project")

    op.drop_table("activity")
    op.drop_table("secret_key")
    op.drop_table("project")
    op.drop_table("person")
    op.drop_table("event_head")
    op.drop_table("blob")
