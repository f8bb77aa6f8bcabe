"""reasons worth reading"""

import sqlalchemy as sa
from alembic import op

import db.types
from db.tables import HOT

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
fits_since = "0002"


def upgrade() -> None:
    op.add_column("decision", sa.Column("reasons_opened", sa.Boolean(), nullable=True))
    op.create_table(
        "reason_request",
        _id(),
        _key("reason_request", "project"),
        _key("reason_request", "item"),
        _key("reason_request", "model"),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("params", db.types.Json(), nullable=False),
        sa.Column("params_hash", sa.Text(), nullable=False),
        _key("reason_request", "person", nullable=True),
        sa.Column("asked_at", db.types.UtcTime(), nullable=False),
        sa.Column("done_at", db.types.UtcTime(), nullable=True),
        _key("reason_request", "explanation", nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.UniqueConstraint("item_id", "model_id", "method", "label", "params_hash"),
    )
    op.create_table(
        "reason_quality",
        _part("reason_quality", "model"),
        sa.Column("method", sa.Text(), primary_key=True),
        *(sa.Column(name, db.types.Id, nullable=False) for name in ("made", "failed", "doubted", "fits")),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("fit", "most_gap", "seconds")),
        postgresql_with=HOT,
    )
    op.create_table(
        "reason_check",
        _part("reason_check", "item"),
        _part("reason_check", "model"),
        sa.Column("method", sa.Text(), primary_key=True),
        sa.Column("label", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("stability", "area", "random_area")),
        sa.Column("apart", sa.Float(), nullable=True),
        sa.Column("made_at", db.types.UtcTime(), nullable=False),
    )
    op.create_index("reason_check_model", "reason_check", ["model_id", "method"])
    op.create_table(
        "embedding",
        _id(),
        _key("embedding", "item"),
        _key("embedding", "model"),
        sa.Column("space", sa.Text(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("item_id", "model_id"),
    )
    op.create_index("embedding_model", "embedding", ["model_id", "id"])


def _id() -> "sa.Column[int]":
    return sa.Column("id", db.types.Id, primary_key=True)


def _key(table: str, target: str, *, nullable: bool = False) -> "sa.Column[int]":
    name = f"{target}_id"
    return sa.Column(name, db.types.Id, sa.ForeignKey(f"{target}.id", name=f"{table}_{name}_fkey"), nullable=nullable)


def _part(table: str, target: str) -> "sa.Column[int]":
    name = f"{target}_id"
    foreign = sa.ForeignKey(f"{target}.id", name=f"{table}_{name}_fkey")
    return sa.Column(name, db.types.Id, foreign, primary_key=True, autoincrement=False)


def downgrade() -> None:
    for table in ("embedding", "reason_check", "reason_quality", "reason_request"):
        op.drop_table(table)
    op.drop_column("decision", "reasons_opened")
