"""the loop"""

import sqlalchemy as sa
from alembic import op

import db.types

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
fits_since = "0002"

TABLES = ("erased", "truth", "replayed", "training_run", "shadow", "challenge", "gate")
ADDED = (("dataset", "replaced_by"), ("proposal", "why"), ("proposal", "gate_id"), ("model", "learned_through"))


def upgrade() -> None:
    for table, name in (("model", "learned_through"), ("proposal", "gate_id"), ("dataset", "replaced_by")):
        op.add_column(table, sa.Column(name, db.types.Id, nullable=True))
    op.add_column("proposal", sa.Column("why", sa.Text(), nullable=True))
    op.create_table(
        "gate",
        _id(),
        _key("gate", "project"),
        _key("gate", "model"),
        _key("gate", "model", name="against_id"),
        sa.Column("watermark", db.types.Id, nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("figures", db.types.Json(), nullable=False),
        _text("code_version"),
        _time("made_at"),
        _key("gate", "person", name="made_by", nullable=True),
    )
    op.create_index("gate_model", "gate", ["model_id", "id"])
    op.create_index("gate_project", "gate", ["project_id", "id"])
    op.create_table(
        "challenge",
        _id(),
        _key("challenge", "project"),
        _key("challenge", "model"),
        _key("challenge", "model", name="against_id"),
        _text("kind"),
        sa.Column("share", sa.Float(), nullable=False),
        _time("begun_at"),
        _key("challenge", "person", name="begun_by", nullable=True),
        _time("until", nullable=True),
        _time("ended_at", nullable=True),
        _text("ended_as", nullable=True),
    )
    _where("challenge_standing", "challenge", ["project_id", "kind"], "ended_at IS NULL", unique=True)
    op.create_table(
        "shadow",
        _part("shadow", "challenge"),
        _part("shadow", "item"),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("agrees", sa.Boolean(), nullable=False),
        sa.Column("p", sa.Float(), nullable=False),
        _time("scored_at"),
    )
    op.create_index("shadow_item", "shadow", ["item_id"])
    op.create_table(
        "training_run",
        _id(),
        _key("training_run", "project"),
        _text("key"),
        _text("state"),
        sa.Column("spec", db.types.Json(), nullable=False),
        sa.Column("curves", db.types.Json(), nullable=True),
        sa.Column("checkpoint", sa.LargeBinary(), nullable=True),
        sa.Column("epoch", sa.Integer(), server_default="0", nullable=False),
        _key("training_run", "model", nullable=True),
        _text("error", nullable=True),
        _text("tracked", nullable=True),
        _time("begun_at"),
        _key("training_run", "person", name="begun_by", nullable=True),
        _time("seen_at"),
        _time("ended_at", nullable=True),
    )
    _where("training_run_running", "training_run", ["project_id", "key"], "state = 'running'", unique=True)
    op.create_index("training_run_project", "training_run", ["project_id", "id"])
    op.create_index("training_run_model", "training_run", ["model_id"])
    op.create_table(
        "replayed",
        _part("replayed", "evidence_period", name="period_id"),
        _part("replayed", "routing_rule"),
        sa.Column("unit", sa.Text(), primary_key=True),
        sa.Column("band", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("p", sa.Float(), primary_key=True, autoincrement=False),
        sa.Column("p_min", sa.Float(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("n", "drawn", "errors")),
    )
    op.create_table(
        "truth",
        _id(),
        _key("truth", "item"),
        _key("truth", "project"),
        _text("label", nullable=True),
        _text("source", nullable=True),
        _time("known_at"),
        _time("made_at"),
        _key("truth", "person", name="made_by", nullable=True),
    )
    op.create_index("truth_item", "truth", ["item_id", "id"])
    op.create_index("truth_project", "truth", ["project_id", "made_at"])
    op.create_table(
        "erased",
        _part("erased", "item"),
        _key("erased", "project"),
        _text("why", nullable=True),
        _time("erased_at"),
        _key("erased", "person", name="erased_by", nullable=True),
    )
    op.create_index("erased_project", "erased", ["project_id", "erased_at"])


def _id() -> "sa.Column[int]":
    return sa.Column("id", db.types.Id, primary_key=True)


def _text(name: str, *, nullable: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, db.types.UtcTime(), nullable=nullable)


def _key(table: str, target: str, *, name: str | None = None, nullable: bool = False) -> "sa.Column[int]":
    column = name or f"{target}_id"
    return sa.Column(column, db.types.Id, sa.ForeignKey(f"{target}.id", name=f"{table}_{column}_fkey"), nullable=nullable)


def _part(table: str, target: str, *, name: str | None = None) -> "sa.Column[int]":
    column = name or f"{target}_id"
    foreign = sa.ForeignKey(f"{target}.id", name=f"{table}_{column}_fkey")
    return sa.Column(column, db.types.Id, foreign, primary_key=True, autoincrement=False)


def _where(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    for table, name in ADDED:
        op.drop_column(table, name)
