"""How much waits in a project, and when there is room again: producers are told to come back rather than let it grow."""

import math
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.tables import Outcome
from review_queue import clock, tallies
from review_queue.errors import Full
from review_queue.projects import Setting

LATEST = 1_000
"""Outcomes by which the pace is told."""
LONGEST = 600
"""Seconds after which a producer is asked to look again, however slow it goes."""


def waiting(session: Session, project_id: int) -> int:
    """Items not scored yet and open tasks together."""
    counts = tallies.read(session, project_id)
    return counts["unscored"] + counts["open"]


def require_room(session: Session, setting: Setting) -> None:
    """Raises Full where as much waits as the policy lets wait. Without a limit nothing is asked."""
    most = setting.policy.intake.most_waiting
    if most == "off" or (held := waiting(session, setting.id)) < most:
        return
    seconds = _until_room(session, setting.id, held - most + 1)
    raise Full(
        f"{held:,} items and tasks of {setting.name} wait, and its policy takes new ones below {most:,} "
        f"(intake.most_waiting); nothing of this was kept, send it again in {seconds:,} s",
        seconds,
    )


def _until_room(session: Session, project_id: int, excess: int) -> int:
    """Seconds until so many outcomes are reached at the pace of the latest ones, 1 to LONGEST."""
    query = select(Outcome.decided_at).where(Outcome.project_id == project_id)
    latest = session.scalars(query.order_by(Outcome.decided_at.desc()).limit(LATEST)).all()
    pace = _pace(latest[-1], len(latest)) if latest else 0.0
    return min(max(math.ceil(excess / pace), 1), LONGEST) if pace > 0 else LONGEST


def _pace(since: datetime, count: int) -> float:
    """Outcomes a second."""
    return count / max((clock.now() - since).total_seconds(), 1.0)
