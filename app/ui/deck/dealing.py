"""What one request of a deck does: what was said is stored, act by act; then the next cases are taken and drawn."""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from app.ui import counts, further, keys, sitting
from app.ui.calm import AWAY, AWAY_SAYS
from app.ui.deck import acts, cards
from app.ui.deck import full as full_view
from app.ui.deck.acts import Ack, Token
from app.ui.deck.trees import tree
from app.ui.draw import desk
from app.ui.sitting import Seat
from db.engine import Database
from review_queue import cases, claims, clock, flags, judging, lost, openings, preferences
from review_queue.activity import Actor
from review_queue.cases import Case
from review_queue.errors import Forbidden, NotFound
from review_queue.preferences import Preferences
from review_queue.projects import Setting

DEEP = 6
"""Cases that a deck holds: the one that is shown and the next ones."""
MOST_ACTS = 200
SeatName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
"""What names a tab."""


class _Sent(BaseModel):
    """What every request says: which tab it is, for whom it was drawn, and how times are read there."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    seat: SeatName
    person: int
    zone: Annotated[str, Field(max_length=64)] | None = None


class Wish(_Sent):
    """What a deck sends. `held`: the tokens of the cases it has; `want`: how many it would have, 0 to only keep them."""

    held: tuple[Token, ...] = Field(default=(), max_length=50)
    want: int = Field(default=0, ge=0, le=claims.MOST)
    said: tuple[dict[str, Any], ...] = Field(default=(), max_length=MOST_ACTS)
    last: bool = False
    full: bool = False


class Look(_Sent):
    """Draw a held case anew. `hurry`: it is on the page, and its reasons are awaited."""

    token: Token
    full: bool = False
    late: bool = False
    hurry: bool = False


class Ask(_Sent):
    """Ask for more reasons of a held case."""

    token: Token
    method: Annotated[str, Field(max_length=64)]
    label: str
    params: dict[Annotated[str, Field(max_length=32)], int] = Field(default={}, max_length=4)


@dataclass(frozen=True)
class Table:
    """Whose deck it is, and how this person reads times and keys."""

    database: Database
    seat: Seat
    chosen: Preferences
    zone: ZoneInfo

    @cached_property
    def keys(self) -> dict[str, str | None]:
        return keys.keymap(self.seat.setting.project, self.chosen.keys)


def table(database: Database, setting: Setting, actor: Actor, chosen: Preferences, wish: Wish | Look | Ask) -> Table:
    """Raises Forbidden for whoever decides nothing here, and where the page was drawn for somebody else."""
    if wish.person != actor.id:
        raise Forbidden(f"{actor.name} is signed in here now, and this page was drawn for somebody else; load it anew")
    if not actor.at_least("reviewer"):
        raise Forbidden("a viewer looks on; deciding cases is for reviewers and up")
    zone = preferences.zone(chosen, wish.zone, setting.project.zone)
    return Table(database, Seat(setting, actor, wish.seat), chosen, zone)


def deal(held: Table, wish: Wish) -> dict[str, Any]:
    """Store what was said, in order, up to the first act for which the database was away; then take and draw the next cases."""
    told: list[Ack] = []
    try:
        for said in wish.said:
            told.append(acts.do(held.database, held.seat, said, held.zone))
        return {"acks": [asdict(each) for each in told], **_dealt(held, wish), "prompt": _prompt(held, wish)}
    except AWAY:
        return {"acks": [asdict(each) for each in told], "message": AWAY_SAYS, "away": True}


def _dealt(held: Table, wish: Wish) -> dict[str, Any]:
    taken = held.database.write(_take, held.seat, wish.want)
    tokens = {each.token for each in taken}
    new = [each for each in taken if each.token not in set(wish.held)]
    settled = tokens | {str(said.get("token")) for said in wish.said}
    seen = held.database.read(_see, held.seat, new, [token for token in wish.held if token not in settled], last=wish.last)
    return {
        "cases": [_card(held, case, flagged=flagged, full=wish.full) for case, flagged in seen.cases],
        "held": [each.token for each in taken],
        "lost": seen.lost,
        "waiting": seen.counts.waiting,
        "counts": tree(desk.counters(seen.counts, held.seat.setting.project.noun)),
        "parking": _parking(held),
        **({"last": asdict(seen.last) if seen.last else None} if wish.last else {}),
    }


def _prompt(held: Table, wish: Wish) -> str | None:
    """A word about a long run of quick accepts, where something was decided now."""
    if not any(said.get("act") == "decide" for said in wish.said):
        return None
    return held.database.write(judging.prompt, held.seat.setting, held.seat.actor)


@dataclass(frozen=True, slots=True)
class _Seen:
    cases: list[tuple[Case, bool]]
    lost: list[tuple[str, str]]
    counts: counts.Counts
    last: sitting.Last | None


def _take(session: Session, seat: Seat, want: int) -> list[claims.Held]:
    """Renew what this deck holds, and take more up to `want`; oldest first."""
    taken = openings.claim(session, seat.setting, seat.actor, seat.name, want)
    return sorted(taken, key=lambda each: (each.taken_at, each.task_id))


def _see(session: Session, seat: Seat, new: list[claims.Held], gone: list[str], *, last: bool) -> _Seen:
    shown = [cases.show(session, seat.setting, each) for each in new]
    flagged = [flags.is_flagged(session, case.item_id, seat.actor.id) for case in shown]
    why = [(token, lost.why(session, seat.actor, token, seat.setting.project.noun)) for token in gone]
    counted = counts.of(session, seat.setting, seat.actor)
    return _Seen(list(zip(shown, flagged, strict=True)), why, counted, sitting.last(session, seat) if last else None)


def _card(held: Table, case: Case, *, flagged: bool, full: bool, late: bool = False) -> dict[str, Any]:
    drawn = cards.card(held.seat, case, held.keys, flagged=flagged, full=full, late=late)
    return drawn | (full_view.below(held.database, held.seat, case) if drawn["full"] else {})


def _parking(held: Table) -> list[tuple[str, str | None]]:
    """Until when a case may be parked by one key: what is said, and the moment."""
    found = sitting.choices(held.seat.setting, clock.now())
    return [(f"{name} · {u.astimezone(held.zone):%a %d %b}" if u else name, u.isoformat() if u else None) for name, u in found]


def look(held: Table, wish: Look) -> dict[str, Any]:
    """One held case as it stands now. Raises NotFound where it is not held any more."""
    case, flagged = held.database.read(_held, held.seat, wish.token)
    if wish.hurry and sitting.awaited(case):
        held.database.write(sitting.hurry, held.seat, case)
    return {"card": _card(held, case, flagged=flagged, full=wish.full, late=wish.late)}


def ask(held: Table, wish: Ask) -> dict[str, Any]:
    """Ask for more reasons; where they are to be seen they come by looking again. Raises Refused and Invalid as the verb does."""
    case, _ = held.database.read(_held, held.seat, wish.token)
    if not further.offered(case):
        raise Forbidden("your answer comes first; the reasons are shown after it")
    held.database.write(sitting.ask, held.seat, case, wish.method, wish.label, wish.params)
    return {}


def _held(session: Session, seat: Seat, token: str) -> tuple[Case, bool]:
    mine = claims.held(session, seat.setting.id, seat.actor, seat.name)
    found = next((each for each in mine if each.token == token), None)
    if found is None:
        raise NotFound(lost.why(session, seat.actor, token, seat.setting.project.noun))
    case = cases.show(session, seat.setting, found)
    return case, flags.is_flagged(session, case.item_id, seat.actor.id)
