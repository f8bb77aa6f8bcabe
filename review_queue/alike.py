"""How urgent a task that must not stand out is: as one of the reviews that came about the same time."""

from collections.abc import Sequence
from random import Random

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from db.tables import Routing, Task

NEAR = 2000
"""Latest items among which those review tasks are looked for."""
ALIKE = 200
"""An audit takes the urgency of one of this many review tasks made before it, so its place does not tell it."""


class Alike:
    """Urgencies for audits and second opinions, taken from review tasks that were routed with or shortly before them.

    Design 5.6 says "of a random waiting review task"; those that still wait are the less urgent ones, so an audit would
    stand out by coming late. Those routed about the same time are what it must look like.
    """

    def __init__(self, session: Session, project_id: int, batch: Sequence[float]) -> None:
        self._session, self._project_id, self._batch = session, project_id, batch
        self._pool: list[float] = []

    def weight(self) -> float:
        if not self._pool:
            recent = self._session.scalars(self._recent().limit(max(ALIKE - len(self._batch), 1))).all()
            self._pool = [*self._batch, *recent] or [0.1, 0.55, 1.0]
        return Random().choice(self._pool)

    def _recent(self) -> Select[float]:
        """Of the reviews among the latest items, by the index of routings: however few are reviewed, no more is looked at."""
        latest = select(Routing.item_id, Routing.n, Routing.route).where(Routing.project_id == self._project_id)
        near = latest.order_by(Routing.item_id.desc()).limit(NEAR).subquery()
        found = (Task.item_id == near.c.item_id) & (Task.routing_n == near.c.n) & (Task.kind == "review") & (Task.seat == 1)
        return select(Task.weight).join(near, found).where(near.c.route == "review").order_by(near.c.item_id.desc())
