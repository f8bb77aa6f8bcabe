"""What a deck sends: acts in their order, each with its own key, each in its own transaction; a repeat is no second act."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from app.again import once_more
from app.ui import sitting
from app.ui.sitting import Last, Seat
from db.engine import Database
from review_queue import calendar, decisions, flags, lost, parking
from review_queue.decisions import Said, Stored
from review_queue.errors import AlreadyDecided, ClaimExpired, Invalid, Refused
from review_queue.parking import Parked

Key = Annotated[str, Field(pattern=r"^[!-~]{8,64}$")]
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
Id = Annotated[int, Field(ge=0, lt=2**63)]
Words = Annotated[str, Field(max_length=decisions.MAX_COMMENT)]
Seconds = Annotated[float, Field(ge=0, lt=1e7)]
Shown = Annotated[str, Field(pattern=r"^\d{1,18}:[0-9a-f]{1,64}$")]


class _Act(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    key: Key


class Answer(_Act):
    """The first answer of a blind case; None is that no label fits."""

    act: Literal["answer"]
    task: Id
    token: Token
    label: str | None
    seconds: Seconds | None = None


class Decide(_Act):
    """A verdict, with what was on the screen."""

    act: Literal["decide"]
    task: Id
    token: Token
    verdict: decisions.Verdict
    label: str | None = None
    reason: str | None = None
    comment: Words | None = None
    seconds: Seconds | None = None
    shown: tuple[Shown, ...] | None = Field(default=None, max_length=100)
    opened: bool | None = None


class Park(_Act):
    """Put aside: until a moment, until a day as people write it, or, with neither, until the item changes."""

    act: Literal["park"]
    task: Id
    token: Token
    until: datetime | None = None
    day: Annotated[str, Field(max_length=40)] | None = None
    note: Words | None = None


class Flag(_Act):
    act: Literal["flag"]
    item: Id
    up: bool


class Undo(_Act):
    """Take back one act: a decision by its key, or a parking by the token of its case; `token`: the case, where it is known."""

    act: Literal["undo"]
    token: Token | None = None
    decided: Key | None = None
    parked: Token | None = None


Act = Answer | Decide | Park | Flag | Undo
_READ: TypeAdapter[Act] = TypeAdapter(Annotated[Act, Field(discriminator="act")])
UNREAD = "This was said by a page of another version of Signoff; load the page anew and say it again. Nothing was stored"


@dataclass(frozen=True, slots=True)
class Ack:
    """What became of an act. `words`: what was stored, or why nothing was; `token`: the case that is in hand again."""

    key: str
    ok: bool
    words: str
    token: str | None = None


def do(database: Database, seat: Seat, said: Mapping[str, Any], zone: ZoneInfo) -> Ack:
    """One act; a refusal is an answer as well. Raises what the database raises where it is away."""
    key = str(said.get("key", ""))[:64].encode(errors="replace").decode()
    try:
        act = _READ.validate_python(said)
    except ValidationError:
        return Ack(key, False, UNREAD)
    try:
        return _done(database, seat, act, zone)
    except (ClaimExpired, AlreadyDecided) as error:
        token = getattr(act, "token", "")
        gone = isinstance(error, ClaimExpired)
        return Ack(key, False, database.read(lost.why, seat.actor, token, seat.setting.project.noun) if gone else str(error))
    except Refused as error:
        return Ack(key, False, str(error), getattr(act, "token", None))


def _done(database: Database, seat: Seat, act: Act, zone: ZoneInfo) -> Ack:
    actor = seat.actor
    match act:
        case Answer():
            said = (act.task, act.token, act.key, act.label, act.seconds)
            return _ack(act, seat, once_more(database, decisions.answer, actor, *said), zone, act.token)
        case Decide():
            return _ack(act, seat, once_more(database, decisions.decide, actor, act.task, act.token, _said(act)), zone)
        case Park():
            note = (act.note or "").strip() or None
            until = _until(seat, act)
            return _ack(act, seat, database.write(parking.park, actor, act.task, act.token, until, note), zone)
        case Flag():
            database.write(flags.flag if act.up else flags.unflag, seat.setting, actor, act.item)
            return Ack(act.key, True, "Flagged: leads find it in Queue" if act.up else "The flag is down")
        case Undo():
            done, token = database.write(sitting.take_back, seat, Last(act.decided, act.parked))
            return Ack(act.key, True, f"Taken back: {_in_words(seat, done, zone) if done else 'parked'}", token)


def _said(act: Decide) -> Said:
    comment = (act.comment or "").strip() or None
    return Said(act.key, act.verdict, act.label, act.reason, comment, act.seconds, act.shown, act.opened)


def _until(seat: Seat, act: Park) -> datetime | None:
    typed = (act.day or "").strip()
    if not typed:
        return act.until
    try:
        return calendar.moment(typed, seat.setting.policy.calendar, seat.setting.project.zone)
    except ValueError as error:
        raise Invalid(f"{typed} {error}") from error


def _ack(act: Act, seat: Seat, done: Stored | Parked, zone: ZoneInfo, token: str | None = None) -> Ack:
    return Ack(act.key, True, _in_words(seat, done, zone), token)


def _in_words(seat: Seat, done: Stored | Parked, zone: ZoneInfo) -> str:
    if isinstance(done, Parked):
        return sitting.parked_in_words(seat.setting, done, zone)
    return sitting.in_words(seat.setting.project, done)
