"""Which model acts: one takes over from another, under a new evidence period and rule."""

from typing import Literal

from sqlalchemy.orm import Session

from db.tables import Model, ModelAlias
from review_queue import clock, events, projects, rules
from review_queue.activity import Actor
from review_queue.errors import Refused

Cause = Literal["promote", "rollback"]


def model_id(session: Session, project_id: int, alias: str = "champion") -> int | None:
    """The model that plays a role now: champion, previous or challenger."""
    held = session.get(ModelAlias, (project_id, alias), populate_existing=True)
    return held.model_id if held is not None else None


def take_over(
    session: Session, project_id: int, wanted: int, against: int | None, *, by: Actor | None, draw_key_id: int, cause: Cause
) -> None:
    """Let a model act from the next batch on; the one that acted, `against`, becomes the former one after a promotion. After a
    rollback there is none: what was taken back has to pass the gate to act again.

    None as `by`: the evidence says so. Raises Refused where another than `against` acts by now.
    """
    rules.lock(session, project_id)
    standing = model_id(session, project_id)
    if standing != against:
        raise Refused("another model acts by now; compare with that one and propose this one anew")
    if cause == "rollback":
        take(session, project_id, "previous")
    elif standing is not None:
        give(session, project_id, "previous", standing, by)
    give(session, project_id, "champion", wanted, by)
    setting = projects.by_id(session, project_id)
    rules.renew(session, project_id, setting.policy, list(setting.project.labels), draw_key_id, cause)
    version = session.get_one(Model, wanted).version
    events.announce(session, project_id, "model.promoted", {"version": version, "kind": cause}, item_id=None)


def give(session: Session, project_id: int, alias: str, model_id: int, by: Actor | None) -> None:
    """Let a model play a role."""
    held = session.get(ModelAlias, (project_id, alias))
    if held is None:
        held = ModelAlias(project_id=project_id, alias=alias)
        session.add(held)
    held.model_id, held.since, held.set_by = model_id, clock.now(), by.id if by else None
    session.flush()


def take(session: Session, project_id: int, alias: str) -> None:
    """No model plays this role any more."""
    held = session.get(ModelAlias, (project_id, alias))
    if held is not None:
        session.delete(held)
        session.flush()
