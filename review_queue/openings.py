"""Who opened which case, noted in the log where the project asks for it."""

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from db.engine import Database
from review_queue import activity, claims, clock, find
from review_queue.activity import Actor
from review_queue.claims import Held
from review_queue.find import Record
from review_queue.projects import Setting


def claim(session: Session, setting: Setting, actor: Actor, session_name: str, count: int) -> list[Held]:
    """`claims.claim`, with a note of every case that is handed out now."""
    begun = clock.now()
    held = claims.claim(session, setting.id, actor, session_name, count, setting.policy.review.lease)
    for each in held:
        if setting.project.log_openings and each.taken_at >= begun:
            _note(session, setting, each.item_id, actor)
    return held


def record(database: Database, setting: Setting, external_id: str, *, by: Actor, **which: Any) -> Record:
    """`find.record`, with a note of the case that is looked up. Raises what that does."""
    look: Callable[..., Record] = database.write if setting.project.log_openings else database.read
    return look(_looked_up, setting, external_id, by=by, **which)


def _looked_up(session: Session, setting: Setting, external_id: str, *, by: Actor, **which: Any) -> Record:
    found = find.record(session, setting, external_id, by=by, **which)
    if setting.project.log_openings:
        _note(session, setting, found.item_id, by)
    return found


def _note(session: Session, setting: Setting, item_id: int, by: Actor) -> None:
    activity.record(session, by, "item.open", f"item:{item_id}", project_id=setting.id)
