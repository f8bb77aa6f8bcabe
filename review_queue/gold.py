"""Known answers: items by which it is measured who sees errors. An adjudicated answer is one; an owner may name others."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session, aliased

from contract.files import nearest
from db.tables import Gold, ItemKey, Person, Routing
from review_queue import activity, clock
from review_queue.activity import Actor
from review_queue.errors import Forbidden, Invalid, NotFound, Refused
from review_queue.projects import Setting

MOST = 200
"""Known answers of one list."""
VERBS = ("gold.add", "gold.end")
"""What the log says of them; for owners to read."""


@dataclass(frozen=True, slots=True)
class Known:
    """An item whose answer is known. `label` and `predicted` are None where no label fits, or there was no score.

    `source`: adjudicated, named.
    """

    external_id: str
    label: str | None
    predicted: str | None
    source: str
    since: datetime
    named_by: str | None

    @property
    def verdict(self) -> str:
        return "right" if self.label == self.predicted else "wrong"


def learn(session: Session, project_id: int, item_id: int, label: str | None) -> None:
    """An adjudication settled the answer to an item. What an owner named stays as they named it."""
    known = session.get(Gold, item_id, populate_existing=True)
    if known is None:
        row = {"item_id": item_id, "project_id": project_id, "label": label, "source": "adjudicated", "made_at": clock.now()}
        session.execute(insert(Gold).values(row))
    elif known.source == "adjudicated":
        known.label = label
        session.flush()


def doubt(session: Session, item_id: int) -> None:
    """The adjudicated answer to an item stands no more: it is known no more, and decisions on it count in no figure."""
    session.execute(delete(Gold).where(Gold.item_id == item_id, Gold.source == "adjudicated"))


def add(session: Session, setting: Setting, external_id: str, label: str | None, *, by: Actor) -> None:
    """Name the answer to an item as known, or another than was named before; None: no label fits.

    Raises Forbidden, NotFound, Invalid, Refused.
    """
    _allow(by)
    if label is not None and label not in setting.project.labels:
        raise Invalid(f"the project has no label {label!r}{nearest(label, setting.project.labels)}")
    key = _key(session, setting, external_id)
    if key.closed_at is not None or _predicted(session, key.item_id) is None:
        why = "was cancelled" if key.closed_at is not None else "has no prediction that an answer could be held against"
        raise Refused(f"{setting.project.noun} {external_id!r} {why}; name another one")
    session.execute(delete(Gold).where(Gold.item_id == key.item_id))
    row = {"item_id": key.item_id, "project_id": setting.id, "label": label, "source": "named", "made_at": clock.now()}
    session.execute(insert(Gold).values(row | {"made_by": by.id}))
    activity.record(session, by, "gold.add", f"item:{key.item_id}", project_id=setting.id, after={"label": label})


def end(session: Session, setting: Setting, external_id: str, *, by: Actor) -> None:
    """Give an item to nobody as gold any more; what was said of it counts on. Raises Forbidden, NotFound."""
    _allow(by)
    key = _key(session, setting, external_id)
    live = update(Gold).where(Gold.item_id == key.item_id, Gold.ended_at.is_(None)).values(ended_at=clock.now())
    if session.scalar(live.returning(Gold.item_id)) is None:
        raise NotFound(f"{external_id!r} is not among the known answers; `signoff gold list` shows them")
    activity.record(session, by, "gold.end", f"item:{key.item_id}", project_id=setting.id)


def listed(session: Session, setting: Setting, *, by: Actor, limit: int = MOST) -> Sequence[Known]:
    """The known answers that are given out, the newest items first. Raises Forbidden."""
    _allow(by)
    later = aliased(Routing)
    newest = select(func.max(later.n)).where(later.item_id == Gold.item_id).scalar_subquery()
    columns = (ItemKey.name, Gold.label, Routing.label, Gold.source, Gold.made_at, Person.name)
    query = select(*columns).join(ItemKey, ItemKey.item_id == Gold.item_id)
    query = query.join(Routing, (Routing.item_id == Gold.item_id) & (Routing.n == newest))
    query = query.outerjoin(Person, Person.id == Gold.made_by).where(Gold.project_id == setting.id, Gold.ended_at.is_(None))
    return [Known(*row) for row in session.execute(query.order_by(Gold.item_id.desc()).limit(limit)).tuples()]


def _allow(by: Actor) -> None:
    if not by.at_least("owner"):
        raise Forbidden("which answers are known is for owners: whoever sees the list would recognise them at the desk")


def _key(session: Session, setting: Setting, external_id: str) -> ItemKey:
    """The standing key of an id, locked."""
    ours = (ItemKey.project_id == setting.id, ItemKey.external_id == external_id, ItemKey.shown_id.is_(None))
    key = session.scalar(select(ItemKey).where(*ours).with_for_update().execution_options(populate_existing=True))
    if key is None:
        raise NotFound(f"{setting.project.heading} has no {setting.project.noun} {external_id!r}")
    return key


def _predicted(session: Session, item_id: int) -> str | None:
    query = select(Routing.label).where(Routing.item_id == item_id).order_by(Routing.n.desc()).limit(1)
    return session.scalar(query)
