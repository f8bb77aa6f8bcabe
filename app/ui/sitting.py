"""What one sitting at the desk does to the queue: one transaction an act. Knows no screen.

A button carries a Turn: the case it was drawn for and the key of its decision. A press that comes late, twice, or with
the buttons of an earlier case is thus known, and changes nothing.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.ui import counts, formats
from app.ui.counts import Counts
from contract.project import Project
from db.tables import Claim, Decision, Task
from review_queue import cases, claims, decisions, explanations, flags, openings, parking
from review_queue.activity import Actor
from review_queue.calendar import opening
from review_queue.cases import Case
from review_queue.decisions import Said, Stored, Verdict
from review_queue.errors import Refused
from review_queue.explanations import Asked
from review_queue.parking import Parked
from review_queue.projects import Setting

AHEAD = 2
"""Cases that a tab holds: the one on the page and the next."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A person before one browser tab, in one project."""

    setting: Setting
    actor: Actor
    name: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One case on the page, from its first drawing on. `shown`: the reasons that were on the page; `opened`: in full; `late`:
    they were not there yet when the case was drawn."""

    task_id: int
    token: str
    blind: bool
    predicted: str | None
    first: str | None = None
    shown: tuple[str, ...] | None = None
    opened: bool = False
    late: bool = False
    key: str = field(default_factory=lambda: str(uuid.uuid4()))
    drawn_at: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return round(max(0.0, time.monotonic() - self.drawn_at), 2)


@dataclass(frozen=True, slots=True)
class Held:
    """What the page needs: the case on it, the tokens of all in hand, the counters, and whether this person flagged the case."""

    case: Case | None
    tokens: tuple[str, ...]
    counts: Counts
    flagged: bool = False


def awaited(case: Case) -> bool:
    """Whether reasons are being made that may be shown once they are there."""
    said = case.prediction
    return said is not None and said.label is not None and not said.external and not case.explanations


def turn_of(case: Case, *, full: bool = False) -> Turn:
    """The turn of a case that is drawn for the first time, or after something about it changed."""
    blind = case.blind and not case.first_given
    predicted = case.prediction.label if case.prediction else None
    reasons = [reason for reason in case.explanations if full or not reason.requested]
    shown = None if blind else tuple(f"{reason.id}:{reason.hash}" for reason in reasons)
    opened = full and bool(shown)
    return Turn(case.task_id, case.token, blind, predicted, case.first_label, shown, opened=opened, late=awaited(case))


def kept(turn: Turn | None, case: Case, *, full: bool = False) -> Turn:
    """The same turn while the same case is on the page in the same state; a new one otherwise."""
    fresh = turn_of(case, full=full)
    if turn is None or (turn.task_id, turn.token, turn.blind) != (fresh.task_id, fresh.token, fresh.blind):
        return fresh
    shown = None if fresh.shown is None else tuple(dict.fromkeys((*(turn.shown or ()), *fresh.shown)))
    return replace(turn, shown=shown, opened=turn.opened or fresh.opened)


def look(session: Session, seat: Seat) -> Held | None:
    """What this tab holds; None where it has to claim."""
    return _seen(session, seat, claims.held(session, seat.setting.id, seat.actor, seat.name))


def sit(session: Session, seat: Seat) -> Held:
    """Claim cases up to what a tab holds."""
    taken = ahead(session, seat)
    return _seen(session, seat, taken) or Held(None, (), counts.of(session, seat.setting, seat.actor))


def _seen(session: Session, seat: Seat, held: Sequence[claims.Held]) -> Held | None:
    if not held:
        return None
    tokens = tuple(each.token for each in held)
    case = cases.show(session, seat.setting, held[0])
    flagged = flags.is_flagged(session, case.item_id, seat.actor.id)
    return Held(case, tokens, counts.of(session, seat.setting, seat.actor), flagged)


def _next(session: Session, seat: Seat) -> Held:
    return look(session, seat) or sit(session, seat)


def ahead(session: Session, seat: Seat) -> list[claims.Held]:
    """Claim the case after the one on the page too, so that it is there when it is wanted."""
    return openings.claim(session, seat.setting, seat.actor, seat.name, AHEAD)


def answer(session: Session, seat: Seat, turn: Turn, label: str | None) -> tuple[Stored, Held]:
    """Store the first answer of a blind case; what may be shown afterwards."""
    stored = decisions.answer(session, seat.actor, turn.task_id, turn.token, turn.key, label, turn.seconds)
    return stored, _next(session, seat)


def decide(session: Session, seat: Seat, turn: Turn, said: Said) -> tuple[Stored, Held]:
    """Store a verdict; the next case is held already, or claimed now."""
    stored = decisions.decide(session, seat.actor, turn.task_id, turn.token, said)
    return stored, _next(session, seat)


def park(session: Session, seat: Seat, turn: Turn, until: datetime | None, note: str | None) -> tuple[Parked, Held]:
    """Put the case aside; the next case is held already, or claimed now."""
    parked = parking.park(session, seat.actor, turn.task_id, turn.token, until, (note or "").strip() or None)
    return parked, _next(session, seat)


def undo(session: Session, seat: Seat) -> tuple[Stored | Parked, Held] | None:
    """Take back this person's last decision or parking; its case is on the page again. None where there is nothing."""
    said = decisions.last_of(session, seat.actor, seat.setting.id)
    parked = parking.last_of(session, seat.actor, seat.setting.id)
    if parked is not None and (said is None or parked.since > said.decided_at):
        parking.resume(session, seat.actor, parked.task_id, session_name=seat.name)
        return parked, _next(session, seat)
    if said is None:
        return None
    decisions.undo(session, seat.actor, said.id, session_name=seat.name)
    return said, _next(session, seat)


@dataclass(frozen=True, slots=True)
class Last:
    """What `take_back` takes back: a decision by its key, or a parking by the token of its case."""

    decided: str | None = None
    parked: str | None = None


def last(session: Session, seat: Seat) -> Last | None:
    """This person's last decision or parking that may be taken back; None where there is nothing."""
    said = decisions.last_of(session, seat.actor, seat.setting.id)
    parked = parking.last_of(session, seat.actor, seat.setting.id)
    if parked is not None and (said is None or parked.since > said.decided_at):
        return Last(parked=_parked_under(session, parked))
    return Last(decided=session.get_one(Decision, said.id).key) if said else None


def take_back(session: Session, seat: Seat, act: Last) -> tuple[Stored | None, str]:
    """Take back this very act, once however often it is asked; the decision, and the token under which its case is held again.

    Raises Refused where it was never stored, or can no longer be taken back.
    """
    if act.parked is not None:
        return None, _take_up(session, seat, act.parked)
    row = session.scalar(select(Decision).where(Decision.key == act.decided, Decision.person_id == seat.actor.id))
    if row is None:
        raise Refused("that was never stored, so there is nothing to take back")
    claim = session.get_one(Claim, row.claim_id, populate_existing=True)
    if claim.state != "held":
        decisions.undo(session, seat.actor, row.id, session_name=seat.name)
    return Stored(row.id, row.task_id, row.verdict, row.label, row.reason, row.stage, row.decided_at), claim.token


def _take_up(session: Session, seat: Seat, token: str) -> str:
    claim = session.scalar(select(Claim).where(Claim.token == token, Claim.person_id == seat.actor.id))
    if claim is None:
        raise Refused("that was never stored, so there is nothing to take back")
    if claim.state != "held":
        parking.resume(session, seat.actor, claim.task_id, session_name=seat.name)
    return token


def _parked_under(session: Session, parked: Parked) -> str | None:
    claim_id = session.get_one(Task, parked.task_id).parked_claim_id
    return session.get_one(Claim, claim_id).token if claim_id is not None else None


@dataclass(frozen=True, slots=True)
class Reasons:
    """How far the reasons of a case have come: what is there, and what was asked for."""

    made: tuple[int, ...]
    asked: tuple[Asked, ...]


def reasons(session: Session, case: Case) -> Reasons:
    """What is there by now of a case whose prediction may be shown."""
    made = explanations.of_prediction(session, case.item_id, case.model_id)
    return Reasons(tuple(each.id for each in made), tuple(explanations.asked(session, case.item_id, case.model_id)))


def hurry(session: Session, seat: Seat, case: Case) -> None:
    """The case is on the page without its reasons: they are next."""
    explanations.hurry(session, seat.setting.id, case.item_id)


def ask(session: Session, seat: Seat, case: Case, method: str, label: str, params: Mapping[str, int]) -> Asked:
    """Ask for more reasons of the case on the page. Raises Refused and Invalid as the verb does."""
    return explanations.ask(session, seat.setting, case.item_id, method=method, label=label, params=params, by=seat.actor)


def beat(session: Session, seat: Seat, tokens: Sequence[str]) -> list[str]:
    """Renew the leases; the tokens that are lost."""
    return claims.heartbeat(session, seat.actor, tokens, seat.setting.policy.review.lease)


def gather(session: Session, seat: Seat) -> Held:
    """Let go of what this person holds in other tabs, and go on with it here."""
    claims.release(session, seat.actor, counts.elsewhere(session, seat.setting, seat.actor, seat.name))
    return sit(session, seat)


def verdict_for(turn: Turn, label: str) -> Verdict:
    """Saying the predicted label is to accept it."""
    return "accept" if label == turn.predicted else "correct"


def asks_reason(project: Project, verdict: str) -> tuple[str, ...]:
    """The reasons to choose from; empty where none has to be asked."""
    reasons = project.reasons_for(verdict)
    return reasons if len(reasons) > 1 else ()


def only_reason(project: Project, verdict: str) -> str | None:
    """The one reason where there is just one."""
    reasons = project.reasons_for(verdict)
    return reasons[0] if len(reasons) == 1 else None


def said_of(turn: Turn, verdict: Verdict, label: str | None, reason: str | None, comment: str | None) -> Said:
    """The decision as it is sent."""
    given = label if verdict == "correct" else None
    opened = turn.opened if turn.shown else None
    return Said(turn.key, verdict, given, reason, (comment or "").strip() or None, turn.seconds, turn.shown, opened)


def choices(setting: Setting, now: datetime) -> list[tuple[str, datetime | None]]:
    """Until when a case may be parked by one key: what it is called, and the moment; None is until the item changes."""
    today = now.astimezone(setting.project.zone).date()
    monday = today + timedelta(days=7 - today.weekday())
    days = [("Tomorrow", today + timedelta(days=1)), ("In three days", today + timedelta(days=3)), ("Next Monday", monday)]
    opens = [(name, opening(day, setting.policy.calendar, setting.project.zone)) for name, day in days]
    return [*opens, (f"Until the {setting.project.noun} changes", None)]


def parked_in_words(setting: Setting, parked: Parked, zone: ZoneInfo | None = None) -> str:
    """One line about what was put aside; its moment in the reader's zone, else in the project's."""
    if parked.until is None:
        return f"Parked until the {setting.project.noun} changes"
    return f"Parked until {formats.moment(parked.until, zone or setting.project.zone)}"


def in_words(project: Project, stored: Stored) -> str:
    """One line about what was stored."""
    title = project.title_of(stored.label) if stored.label is not None else None
    return {
        "accept": f"Accepted: {title}",
        "correct": f"Corrected to {title}" if stored.stage == "final" else f"Your answer: {title}",
        "reject": f"Rejected: {stored.reason or 'no label fits'}",
        "skip": "Skipped; somebody else gets it",
        "escalate": "Escalated to a lead",
    }[stored.verdict]
