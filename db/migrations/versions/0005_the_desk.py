"""the desk"""

import re

import sqlalchemy as sa
from alembic import op

import db.types
from db.tables import HOT

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
fits_since = "0002"

TABLES = ("daily_tally", "gold_turn", "gold", "saved_filter", "flag", "bulk_decision", "bulk", "model_spread", "member")
PERSON = ("settings", "subject", "issuer", "email", "everywhere")
_STANDS = """FROM decision d JOIN task t ON t.id = d.task_id
    JOIN routing r ON r.item_id = t.item_id AND r.n = t.routing_n
    WHERE d.stage = 'final' AND d.verdict IN ('accept', 'correct', 'reject') AND t.state = 'completed'
    AND NOT EXISTS (SELECT 1 FROM decision later WHERE later.supersedes_id = d.id)"""
DAYS = {
    "by route": "SELECT project_id, DAY(routed_at) AS day, route AS name, 1 AS n FROM routing",
    "items": "SELECT project_id, DAY(received_at) AS day, 1 AS n FROM item",
    "open": """SELECT project_id, DAY(made_at) AS day, 1 AS n FROM task
        UNION ALL SELECT project_id, DAY(closed_at) AS day, -1 AS n FROM task WHERE closed_at IS NOT NULL""",
    "decided": "SELECT project_id, DAY(closed_at) AS day, 1 AS n FROM task WHERE state = 'completed' AND closed_at IS NOT NULL",
    "by answer": f"""SELECT d.project_id, DAY(d.decided_at) AS day,
        CASE WHEN d.verdict = 'accept' THEN 'judged/accept' ELSE 'judged/other' END AS name, 1 AS n
        {_STANDS} AND d.basis IN ('routed', 'drawn') AND r.label IS NOT NULL""",
}
"""What `daily_tally` holds, by name, of what was there before it."""

ADJUDICATED = """INSERT INTO gold (item_id, project_id, label, source, made_at)
    SELECT o.item_id, o.project_id, o.label, 'adjudicated', o.decided_at FROM outcome o WHERE o.source = 'adjudicated'
    AND NOT EXISTS (SELECT 1 FROM outcome later WHERE later.item_id = o.item_id AND later.revision > o.revision)"""
"""What is known already: the answers that settled a dispute and stand."""


def upgrade() -> None:
    op.add_column("person", sa.Column("everywhere", sa.Boolean(), nullable=False, server_default=sa.true()))
    for name in ("email", "issuer", "subject"):
        op.add_column("person", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("person", sa.Column("settings", db.types.Json(), nullable=True))
    _where("person_subject", "person", ["issuer", "subject"], "subject IS NOT NULL", unique=True)
    _where("person_email", "person", ["email"], "email IS NOT NULL", unique=True)
    for column in ("actor_id", "verb"):
        op.create_index(f"activity_{column.removesuffix('_id')}", "activity", ["project_id", column, "id"])
    op.create_index("activity_at", "activity", ["project_id", "at"])
    _where("activity_for", "activity", ["project_id", "for_id", "id"], "for_id IS NOT NULL")
    op.create_table(
        "member",
        _part("member", "person"),
        _part("member", "project"),
        sa.Column("role", sa.Text(), nullable=True),
        _time("made_at"),
        _key("member", "person", name="made_by", nullable=True),
    )
    op.create_table(
        "model_spread", _part("model_spread", "model"), sa.Column("body", db.types.Json(), nullable=False), _time("made_at")
    )
    op.create_table(
        "bulk",
        _id(),
        sa.Column("key", sa.Text(), nullable=False),
        _key("bulk", "project"),
        _key("bulk", "person"),
        sa.Column("filter", db.types.Json(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        _time("made_at"),
        _time("undone_at", nullable=True),
        sa.UniqueConstraint("key"),
    )
    op.create_index("bulk_project", "bulk", ["project_id", "id"])
    op.create_table("bulk_decision", _part("bulk_decision", "decision"), _key("bulk_decision", "bulk"))
    op.create_index("bulk_decision_bulk", "bulk_decision", ["bulk_id", "decision_id"])
    op.create_table(
        "flag",
        _id(),
        _key("flag", "project"),
        _key("flag", "item"),
        _key("flag", "person"),
        sa.Column("note", sa.Text(), nullable=True),
        _time("made_at"),
        _time("ended_at", nullable=True),
        _key("flag", "person", name="ended_by", nullable=True),
    )
    _where("flag_item_person", "flag", ["item_id", "person_id"], "ended_at IS NULL", unique=True)
    _where("flag_open", "flag", ["project_id", "made_at"], "ended_at IS NULL")
    op.create_table(
        "saved_filter",
        _id(),
        _key("saved_filter", "project"),
        _key("saved_filter", "person"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False, server_default=sa.false()),
        _time("made_at"),
        sa.UniqueConstraint("project_id", "person_id", "name"),
    )
    op.create_table(
        "gold",
        _part("gold", "item"),
        _key("gold", "project"),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        _time("made_at"),
        _key("gold", "person", name="made_by", nullable=True),
        _time("ended_at", nullable=True),
    )
    _where("task_assigned", "task", ["project_id", "assignee_id"], "state = 'pending' AND assignee_id IS NOT NULL")
    _where("gold_open", "gold", ["project_id", "item_id"], "ended_at IS NULL")
    _where("task_gold", "task", ["project_id", "made_at"], "kind = 'gold' AND state IN ('pending', 'parked')")
    _where("claim_let_go", "claim", ["item_id", "person_id"], "state IN ('escalated', 'released', 'expired')")
    _where("decision_gold", "decision", ["project_id", "decided_at"], "basis = 'gold'")
    op.execute(ADJUDICATED)
    op.create_table(
        "gold_turn",
        _part("gold_turn", "project"),
        sa.Column("claim_id", db.types.Id, nullable=False),
    )
    op.create_table(
        "daily_tally",
        _part("daily_tally", "project"),
        sa.Column("day", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("n", db.types.Id, nullable=False),
        postgresql_with=HOT,
    )
    op.add_column("tally", sa.Column("day", sa.Text(), nullable=True))
    for name, counted in DAYS.items():
        op.execute(f"INSERT INTO daily_tally (project_id, day, name, n) {_by_day(counted, name)}")


def _by_day(counted: str, name: str) -> str:
    """What there is already, by day."""
    lite = op.get_bind().dialect.name == "sqlite"
    day = "strftime('%Y-%m-%d', \\1 / 1000000, 'unixepoch')" if lite else "to_char(\\1 AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
    rows = re.sub(r"DAY\(([\w.]+)\)", day, counted)
    what = "name" if name.startswith("by ") else f"'{name}'"
    return f"SELECT project_id, day, {what}, sum(n) FROM ({rows}) AS held GROUP BY 1, 2, 3 HAVING sum(n) <> 0"


def _id() -> "sa.Column[int]":
    return sa.Column("id", db.types.Id, primary_key=True)


def _time(name: str, *, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, db.types.UtcTime(), nullable=nullable)


def _key(table: str, target: str, *, name: str | None = None, nullable: bool = False) -> "sa.Column[int]":
    column = name or f"{target}_id"
    return sa.Column(column, db.types.Id, sa.ForeignKey(f"{target}.id", name=f"{table}_{column}_fkey"), nullable=nullable)


def _part(table: str, target: str) -> "sa.Column[int]":
    name = f"{target}_id"
    foreign = sa.ForeignKey(f"{target}.id", name=f"{table}_{name}_fkey")
    return sa.Column(name, db.types.Id, foreign, primary_key=True, autoincrement=False)


def _where(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    for table, name in (("task", "assigned"), ("task", "gold"), ("claim", "let_go"), ("decision", "gold")):
        op.drop_index(f"{table}_{name}", table)
    for name in ("at", "verb", "actor", "for"):
        op.drop_index(f"activity_{name}", "activity")
    op.drop_index("person_email", "person")
    op.drop_index("person_subject", "person")
    op.drop_column("tally", "day")
    for column in PERSON:
        op.drop_column("person", column)
