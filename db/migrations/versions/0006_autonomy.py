"""autonomy"""

import sqlalchemy as sa
from alembic import op

import db.types
from db.tables import HOT

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
fits_since = "0002"

TABLES = ("drift_check", "notice", "evidence_look", "certificate", "autonomy_signature", "autonomy_event")
ADDED = (
    ("prediction", "strangeness"),
    ("project_control", "raised_rate"),
    ("project_control", "permit"),
    ("routing_rule", "strange"),
    ("routing_rule", "units"),
    ("evidence_period", "terms"),
)


def upgrade() -> None:
    for table, name in (("evidence_period", "terms"), ("routing_rule", "units"), ("project_control", "permit")):
        op.add_column(table, sa.Column(name, db.types.Json(), nullable=True))
    for table, name in (("routing_rule", "strange"), ("project_control", "raised_rate"), ("prediction", "strangeness")):
        op.add_column(table, sa.Column(name, sa.Float(), nullable=True))
    _where("draw_audit", "draw", ["period_id", "segment", "drawn_at"], "purpose = 'evidence' AND p < 1")
    _where("draw_resolved", "draw", ["project_id", "resolved_at"], "purpose = 'evidence' AND resolved_at IS NOT NULL")
    op.create_table(
        "autonomy_event",
        _id(),
        _key("autonomy_event", "project"),
        _key("autonomy_event", "evidence_period", name="period_id", nullable=True),
        _key("autonomy_event", "policy_version"),
        *(_text(name) for name in ("unit", "kind", "from_level", "to_level", "cause")),
        sa.Column("asked", db.types.Json(), nullable=False),
        sa.Column("counts", db.types.Json(), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=True) for name in ("log_e", "alpha", "delta")),
        _text("code_version"),
        sa.Column("signers", sa.Integer(), nullable=False),
        _text("state"),
        _key("autonomy_event", "person", name="made_by", nullable=True),
        _time("made_at"),
        _time("ended_at", nullable=True),
        _key("autonomy_event", "routing_rule", nullable=True),
    )
    op.create_index("autonomy_event_project", "autonomy_event", ["project_id", "id"])
    _where("autonomy_event_open", "autonomy_event", ["project_id", "unit"], "state = 'open'", unique=True)
    op.create_table(
        "autonomy_signature",
        _part("autonomy_signature", "autonomy_event", name="event_id"),
        _part("autonomy_signature", "person"),
        _text("via"),
        _time("signed_at"),
    )
    op.create_table(
        "certificate",
        _part("certificate", "evidence_period", name="period_id"),
        sa.Column("unit", sa.Text(), primary_key=True),
        sa.Column("band", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("threshold", sa.Float(), nullable=False),
        sa.Column("watermark", db.types.Id, nullable=False),
        sa.Column("counts", db.types.Json(), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("log_e", "alpha", "delta")),
        _text("code_version"),
        _time("made_at"),
    )
    op.create_table("evidence_look", _part("evidence_look", "project"), _time("seen_at"), _time("looked_at"), postgresql_with=HOT)
    op.create_table(
        "notice",
        _id(),
        _key("notice", "project"),
        _text("kind"),
        _text("subject"),
        sa.Column("body", db.types.Json(), nullable=False),
        _time("opened_at"),
        _time("closed_at", nullable=True),
        _key("notice", "person", name="closed_by", nullable=True),
    )
    _where("notice_open", "notice", ["project_id", "kind", "subject"], "closed_at IS NULL", unique=True)
    op.create_index("notice_project", "notice", ["project_id", "id"])
    op.create_table(
        "drift_check",
        _id(),
        _key("drift_check", "project"),
        _key("drift_check", "model"),
        sa.Column("first_item_id", db.types.Id, nullable=False),
        sa.Column("last_item_id", db.types.Id, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("figures", db.types.Json(), nullable=False),
        sa.Column("alarmed", sa.Boolean(), nullable=False),
        _time("made_at"),
    )
    for owner in ("model", "project"):
        op.create_index(f"drift_check_{owner}", "drift_check", [f"{owner}_id", "id"])


def _id() -> "sa.Column[int]":
    return sa.Column("id", db.types.Id, primary_key=True)


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), nullable=False)


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
    for name in ("draw_resolved", "draw_audit"):
        op.drop_index(name, "draw")
    for table, name in ADDED:
        op.drop_column(table, name)
