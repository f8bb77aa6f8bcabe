"""House-keeping that any process may do at any time: what time alone makes due.

Each verb is bounded, passes by what another process has in hand, and is only run where a look says that there is something.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, func, select
from sqlalchemy.orm import Session

from db.tables import Claim, Draw, Project, Tally, Task
from review_queue import audience, claims, clock, events, outcomes, parking, projects, tallies

Verb = Callable[[Session], int]


@dataclass(frozen=True, slots=True)
class Chore:
    """`look` costs next to nothing and writes nothing; `verb` does what is due and says how much that was."""

    look: Callable[[Session], bool]
    verb: Verb


def due(session: Session) -> Sequence[Verb]:
    """The verbs that have something to do now."""
    return [chore.verb for chore in CHORES if chore.look(session)]


def _word(text: str) -> "BindParameter[str]":
    return bindparam(None, text, literal_execute=True, unique=True)


def _any(session: Session, query: "Select[Any]") -> bool:
    return session.execute(query.limit(1)).first() is not None


def _leases(session: Session) -> bool:
    over = select(Claim.id).where(Claim.state == _word("held"), Claim.expires_at < clock.now())
    return _any(session, over.order_by(Claim.expires_at))


def _draws(session: Session) -> bool:
    return _any(session, select(Draw.due_at).where(Draw.due_at < clock.now(), Draw.resolved_at.is_(None)).order_by(Draw.due_at))


def _counts(session: Session) -> bool:
    return _any(session, select(Tally.project_id).group_by(Tally.project_id).having(func.count() > tallies.FOLD_AT))


def _parked(session: Session) -> bool:
    every = Task.project_id.in_(select(Project.id))  # the index begins with the project
    return _any(session, select(Task.id).where(every, Task.state == _word("parked"), Task.parked_until <= clock.now()))


def _overdue(session: Session) -> bool:
    late = select(Task.id).where(
        Task.state == _word("pending"), Task.audience == _word("reviewers"), Task.due_at.is_not(None), Task.due_at < clock.now()
    )
    wished = [each.id for each in projects.everything(session) if each.policy.review.on_overdue == "leads"]
    return any(_any(session, late.where(Task.project_id == each)) for each in wished)


CHORES = (
    Chore(events.is_ready, events.sequence),
    Chore(_leases, claims.expire),
    Chore(_draws, outcomes.resolve_overdue),
    Chore(_counts, tallies.fold),
    Chore(_parked, parking.wake),
    Chore(_overdue, audience.hand_on_overdue),
)
