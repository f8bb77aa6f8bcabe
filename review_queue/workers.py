"""Whether anybody works: what waits for a worker, and for how long nobody has taken it."""

from datetime import datetime, timedelta

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from db.tables import Explanation, Work
from review_queue import clock

KINDS = ("score", "explain")
PATIENCE = timedelta(minutes=2)
"""How long work may wait, with nobody seen at work, before that is said."""


def away_since(session: Session, project_id: int) -> datetime | None:
    """Since when a project's work waits while no worker is seen: none holds any of it, and none explained lately. None where all
    is well. Takes the index `work_ready`."""
    now = clock.now()
    waits = [since for kind in KINDS if (since := _oldest(session, project_id, kind)) is not None]
    if not waits or min(waits) > now - PATIENCE or _seen(session, project_id, now):
        return None
    return min(waits)


def _oldest(session: Session, project_id: int, kind: str) -> datetime | None:
    query = select(Work.ready_at).where(Work.project_id == project_id, Work.kind == kind, Work.ready_at <= clock.now())
    return session.scalar(query.order_by(Work.ready_at).limit(1))


def _seen(session: Session, project_id: int, now: datetime) -> bool:
    leased = (exists().where(Work.project_id == project_id, Work.kind == kind, Work.ready_at > now) for kind in KINDS)
    if any(session.scalar(select(each)) for each in leased):
        return True
    last = session.scalar(select(Explanation.made_at).order_by(Explanation.id.desc()).limit(1))
    return last is not None and last > now - PATIENCE
