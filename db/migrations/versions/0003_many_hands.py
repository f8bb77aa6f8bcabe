"""many hands"""

from collections import defaultdict

import sqlalchemy as sa
from alembic import op

import db.types
from db.tables import HOT

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
fits_since = "0002"

OPEN = "state IN ('pending', 'in_progress', 'parked')"
DUE = "state IN ('pending', 'in_progress') AND due_at IS NOT NULL"
LATE = "state = 'pending' AND audience = 'reviewers' AND due_at IS NOT NULL"
CONTESTED = "state = 'pending' AND (shared OR kind IN ('second', 'adjudication') OR skips > 0 OR requested IS NOT NULL)"
SHARED = """
UPDATE task SET shared = true WHERE state IN ('pending', 'in_progress') AND kind IN ('review', 'second') AND EXISTS (
  SELECT 1 FROM task AS o WHERE o.item_id = task.item_id AND o.routing_n = task.routing_n AND o.id <> task.id
  AND o.kind IN ('review', 'second'))
"""


def upgrade() -> None:
    _items()
    _tasks()
    op.create_table("tally", _id(), _project(), sa.Column("counts", db.types.Json(), nullable=False), postgresql_with=HOT)
    op.create_index("tally_project", "tally", ["project_id", "id"])
    op.create_index("activity_subject", "activity", ["subject", "id"])
    _count()
    _webhooks()
    _events()


def _items() -> None:
    op.add_column("item_key", sa.Column("revision", sa.Integer(), server_default="1", nullable=False))
    op.add_column("item_key", sa.Column("shown_id", sa.Text(), nullable=True))
    op.add_column("item_key", sa.Column("closed_at", db.types.UtcTime(), nullable=True))


def _tasks() -> None:
    op.add_column("task", sa.Column("assigned_until", db.types.UtcTime(), nullable=True))
    op.add_column("task", sa.Column("parked_at", db.types.UtcTime(), nullable=True))
    op.add_column("task", sa.Column("parked_until", db.types.UtcTime(), nullable=True))
    op.add_column("task", sa.Column("parked_note", sa.Text(), nullable=True))
    op.add_column("task", sa.Column("parked_claim_id", db.types.Id, nullable=True))
    op.add_column("task", sa.Column("requested", sa.Text(), nullable=True))
    op.add_column("task", sa.Column("shared", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute(SHARED)
    _index("task_open", "task", ["project_id", "made_at", "id"], OPEN)
    _index("task_due", "task", ["project_id", "due_at"], DUE)
    _index("task_late", "task", ["project_id", "due_at"], LATE)
    _index("task_parked", "task", ["project_id", "parked_until"], "state = 'parked'")
    _index("task_contested", "task", ["project_id", "made_at", "id"], CONTESTED)


COUNTS = """
SELECT project_id, 'items', count(*) FROM item GROUP BY project_id
UNION ALL SELECT project_id, 'unscored', count(*) FROM work WHERE kind = 'score' GROUP BY project_id
UNION ALL SELECT project_id, 'open', count(*) FROM task WHERE state IN ('pending', 'in_progress') GROUP BY project_id
UNION ALL SELECT project_id, 'decided', count(*) FROM task WHERE state = 'completed' GROUP BY project_id
UNION ALL SELECT project_id, route, count(*) FROM routing GROUP BY project_id, route
UNION ALL SELECT project_id, 'outcomes/' || source, count(*) FROM outcome AS o
  WHERE NOT EXISTS (SELECT 1 FROM outcome AS later WHERE later.item_id = o.item_id AND later.revision > o.revision)
  GROUP BY project_id, source
UNION ALL SELECT project_id, 'band/' || CAST(tenth AS TEXT) || '/' || route, count(*) FROM (
  SELECT project_id, route, CASE WHEN confidence >= 1 THEN 9 ELSE CAST(floor(confidence * 10) AS INTEGER) END AS tenth
  FROM routing WHERE confidence IS NOT NULL) AS r
  GROUP BY project_id, tenth, route
"""


def _count() -> None:
    """What stands in the tables of the release before, counted once."""
    connection, counts = op.get_bind(), defaultdict[int, dict[str, int]](dict)
    for project_id, name, n in connection.execute(sa.text(COUNTS)).tuples():
        counts[project_id][name] = n
    tally = sa.table("tally", sa.column("project_id", db.types.Id), sa.column("counts", db.types.Json))
    if counts:
        op.bulk_insert(tally, [{"project_id": project_id, "counts": held} for project_id, held in counts.items()])


def _webhooks() -> None:
    op.create_table(
        "webhook",
        _id(),
        _project(),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", db.types.Json(), nullable=True),
        sa.Column("key_id", db.types.Id, sa.ForeignKey("secret_key.id", name="webhook_key_id_fkey"), nullable=False),
        sa.Column("position", db.types.Id, nullable=False),
        sa.Column("ready_at", db.types.UtcTime(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", db.types.UtcTime(), nullable=True),
        sa.Column("delivered_at", db.types.UtcTime(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("made_at", db.types.UtcTime(), nullable=False),
        sa.Column("made_by", db.types.Id, sa.ForeignKey("person.id", name="webhook_made_by_fkey"), nullable=True),
        sa.Column("ended_at", db.types.UtcTime(), nullable=True),
        sa.Column("ended_as", sa.Text(), nullable=True),
        postgresql_with=HOT,
    )
    _index("webhook_active", "webhook", ["project_id"], "ended_at IS NULL")
    webhook = sa.ForeignKey("webhook.id", name="delivery_webhook_id_fkey")
    event = sa.ForeignKey("event.seq", name="delivery_seq_fkey")
    op.create_table(
        "delivery",
        sa.Column("webhook_id", db.types.Id, webhook, primary_key=True, autoincrement=False),
        sa.Column("seq", db.types.Id, event, primary_key=True, autoincrement=False),
        sa.Column("item_id", db.types.Id, sa.ForeignKey("item.id", name="delivery_item_id_fkey"), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", db.types.UtcTime(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        postgresql_with=HOT,
    )
    _index("delivery_due", "delivery", ["webhook_id", "next_at"], "state = 'waiting'")
    op.create_index("delivery_item", "delivery", ["webhook_id", "item_id", "seq"])


def _events() -> None:
    op.create_index("outbox_ready", "outbox", ["ready_at", "id"])
    if op.get_bind().dialect.name == "postgresql":
        settings = ", ".join(f"{name} = {value}" for name, value in HOT.items())
        op.execute(f"ALTER TABLE event_head SET ({settings})")
    one = sa.Column("one", sa.Integer(), primary_key=True, autoincrement=False)
    op.create_table("compatibility", one, sa.Column("since", sa.Text(), nullable=False))


def _id() -> "sa.Column[int]":
    return sa.Column("id", db.types.Id, primary_key=True)


def _project() -> "sa.Column[int]":
    return sa.Column("project_id", db.types.Id, sa.ForeignKey("project.id"), nullable=False)


def _index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, postgresql_where=sa.text(where), sqlite_where=sa.text(where))


def downgrade() -> None:
    op.drop_index("activity_subject", "activity")
    op.drop_index("outbox_ready", "outbox")
    for table in ("compatibility", "delivery", "webhook", "tally"):
        op.drop_table(table)
    for index in ("task_contested", "task_parked", "task_late", "task_due", "task_open"):
        op.drop_index(index, "task")
    for column in ("shared", "requested", "parked_claim_id", "parked_note", "parked_until", "parked_at", "assigned_until"):
        op.drop_column("task", column)
    for column in ("closed_at", "shown_id", "revision"):
        op.drop_column("item_key", column)
