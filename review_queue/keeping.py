"""House-keeping that any process may do at any time: what time alone makes due.

Each verb is bounded, passes by what another process has in hand, and is only run where a look says that there is something.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.statements import finds
from db.tables import Claim, Draw, Project, Tally, Task
from review_queue import (
    audience,
    autonomy,
    challenges,
    claims,
    clock,
    drift,
    events,
    mixing,
    outcomes,
    parking,
    projects,
    states,
    tallies,
    triggers,
)

Verb = Callable[..., int]


@dataclass(frozen=True, slots=True)
class Chore:
    """`look` costs next to nothing and writes nothing; `verb` does what is due and says how much that was.

    `first`: what takes long to read, and holds up nobody: what it returns is given to the verb.
    """

    look: Callable[[Session], bool]
    verb: Verb
    first: Callable[[Session], object] | None = None


def _leases(session: Session) -> bool:
    over = select(Claim.id).where(states.LEASED, Claim.expires_at < clock.now())
    return finds(session, over.order_by(Claim.expires_at))


def _draws(session: Session) -> bool:
    return finds(session, select(Draw.due_at).where(Draw.due_at < clock.now(), Draw.resolved_at.is_(None)).order_by(Draw.due_at))


def _counts(session: Session) -> bool:
    return finds(session, select(Tally.project_id).group_by(Tally.project_id).having(func.count() > tallies.FOLD_AT))


def _parked(session: Session) -> bool:
    every = Task.project_id.in_(select(Project.id))  # the index begins with the project
    return finds(session, select(Task.id).where(every, states.PARKED, Task.parked_until <= clock.now()))


def _overdue(session: Session) -> bool:
    late = select(Task.id).where(states.LATE, Task.due_at < clock.now())
    wished = [each.id for each in projects.everything(session) if each.policy.review.on_overdue == "leads"]
    return any(finds(session, late.where(Task.project_id == each)) for each in wished)


CHORES = (
    Chore(events.is_ready, events.sequence),
    Chore(_leases, claims.expire),
    Chore(_draws, outcomes.resolve_overdue),
    Chore(autonomy.is_due, autonomy.look, first=autonomy.judged),
    Chore(_counts, tallies.fold),
    Chore(_parked, parking.wake),
    Chore(_overdue, audience.hand_on_overdue),
    Chore(drift.is_settled, drift.settle),
    Chore(mixing.is_due, mixing.mix),
    Chore(mixing.is_stale, mixing.withdraw),
    Chore(challenges.is_over, challenges.end_over),
    Chore(triggers.is_due, triggers.ask),
)
