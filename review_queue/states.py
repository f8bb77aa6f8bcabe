"""Conditions on tasks and leases, written out in words: a partial index is matched to words, not to parameters."""

from sqlalchemy import ColumnElement, Select, Subquery, literal_column, select, union_all

from db.tables import Task

PENDING: ColumnElement[bool] = literal_column("task.state = 'pending'")
HELD: ColumnElement[bool] = literal_column("task.state = 'in_progress'")
PARKED: ColumnElement[bool] = literal_column("task.state = 'parked'")
OPEN: ColumnElement[bool] = literal_column("task.state IN ('pending', 'in_progress', 'parked')")
DUE: ColumnElement[bool] = literal_column("task.state IN ('pending', 'in_progress') AND task.due_at IS NOT NULL")
LATE: ColumnElement[bool] = literal_column("task.state = 'pending' AND task.audience = 'reviewers' AND task.due_at IS NOT NULL")
FOR_LEADS: ColumnElement[bool] = literal_column("task.audience = 'leads'")
ASSIGNED: ColumnElement[bool] = literal_column("task.state = 'pending' AND task.assignee_id IS NOT NULL")
LEASED: ColumnElement[bool] = literal_column("claim.state = 'held'")
LET_GO: ColumnElement[bool] = literal_column("claim.state IN ('escalated', 'released', 'expired')")
SKIPPED: ColumnElement[bool] = literal_column("claim.state IN ('held', 'answered', 'skipped') AND claim.state = 'skipped'")
GOLD: ColumnElement[bool] = literal_column("task.kind = 'gold' AND task.state IN ('pending', 'parked')")
CONTESTED: ColumnElement[bool] = literal_column(
    "task.state = 'pending'"
    " AND (task.shared OR task.kind IN ('second', 'adjudication') OR task.skips > 0 OR task.requested IS NOT NULL)"
)


def next_waiting(project_id: int, limit: int) -> Subquery:
    """Ids, items and ranks of the next waiting tasks, whoever they are for: lowest rank first."""
    both = union_all(*(select(_next(project_id, audience, limit).subquery()) for audience in ("leads", "reviewers"))).subquery()
    return select(both).order_by(both.c.rank, both.c.id).limit(limit).subquery()


def _next(project_id: int, audience: str, limit: int) -> Select[int, int, int]:
    query = select(Task.id, Task.item_id, Task.rank).where(Task.project_id == project_id, Task.audience == audience, PENDING)
    return query.order_by(Task.rank, Task.id).limit(limit)
