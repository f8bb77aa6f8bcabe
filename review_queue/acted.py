"""What was routed in a period, case by case: what acted alone, with which chance it was looked at, and what the look found."""

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session

from db.tables import Draw, Item, Routing
from review_queue import agreement
from review_queue.periods import Period

MOST = 200_000
"""Routed cases, the latest first, that one report looks at."""
CHUNK = 10_000
FEW = 10
"""Checks of one step of time from which on it has a point in a picture."""


@dataclass(frozen=True, slots=True)
class Acted:
    """One routed case. `p`: its chance of a spot check; `wrong` None: no check is back."""

    item_id: int
    route: str
    label: str | None
    unit: str
    p: float
    drawn: bool
    wrong: bool | None
    routed_at: datetime
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def alone(self) -> bool:
        return self.route == "auto"


@dataclass(frozen=True, slots=True)
class Traffic:
    """Routed cases, newest first. `whole`: these are all of the period. `watermark`: cases before it have all their checks back;
    None: all have."""

    rows: tuple[Acted, ...]
    whole: bool
    watermark: int | None

    def settled(self) -> list[Acted]:
        """What acted alone, might have been checked, and has no earlier check that is not back."""
        mark = self.watermark
        return [each for each in self.rows if each.alone and each.p > 0 and (mark is None or each.item_id < mark)]


@dataclass(frozen=True, slots=True)
class Wrong:
    """How often what acted alone was wrong. `share` with its limits is None where fewer than `needed` checks are back.

    The share weighs every check with one over its chance; its limits are those of 95 % confidence.
    """

    alone: int
    checked: int
    wrong: int
    needed: int
    share: float | None
    low: float | None
    high: float | None

    @property
    def known(self) -> bool:
        return self.share is not None


def traffic(session: Session, project_id: int, since: datetime, before: datetime, most: int = MOST) -> Traffic:
    """The cases of a period, each by its latest routing."""
    rows: list[Acted] = []
    for each in _newest_first(session, project_id, since):
        if len(rows) == most:
            return Traffic(tuple(rows), False, _watermark(rows))
        if since <= each.routed_at < before:
            rows.append(_acted(each))
    return Traffic(tuple(rows), True, _watermark(rows))


@dataclass(frozen=True, slots=True)
class Stretch:
    """A step of time, and how often what acted alone in it was wrong."""

    period: Period
    wrong: Wrong


def stretches(seen: Traffic, period: Period) -> tuple[Stretch, ...]:
    """The steps of a period, each with what FEW checks or more say of it, however wide its limits."""
    steps = list(period.steps())
    ends = [step.before for step in steps]
    alone, settled = _within(ends, [each for each in seen.rows if each.alone]), _within(ends, seen.settled())
    held = zip(steps, alone, settled, strict=True)
    return tuple(Stretch(step, wrong(checked, FEW, alone=len(all_))) for step, all_, checked in held)


def _within(ends: Sequence[datetime], rows: Sequence[Acted]) -> list[list[Acted]]:
    found: list[list[Acted]] = [[] for _ in ends]
    for each in rows:
        found[bisect_right(ends, each.routed_at)].append(each)
    return found


def wrong(rows: Sequence[Acted], least: int, alone: int | None = None) -> Wrong:
    """How often these settled cases were wrong, known from `least` checks on; `alone`: how many acted alone with them, where some
    are not settled.

    Sources: the weighted share of Hájek (1971); the interval of Wilson for as many checks of one weight as would say as much: the
    squared sum of weights over the sum of their squares (Kish 1965, "Survey sampling").
    """
    checked = [each for each in rows if each.wrong is not None]
    count, errors = len(rows) if alone is None else alone, sum(each.wrong is True for each in checked)
    if len(checked) < least:
        return Wrong(count, len(checked), errors, least, None, None, None)
    weights = [1 / each.p for each in checked]
    share = sum(weight for weight, each in zip(weights, checked, strict=True) if each.wrong) / sum(weights)
    effective = sum(weights) ** 2 / sum(weight**2 for weight in weights)
    return Wrong(count, len(checked), errors, least, share, *agreement.interval(share, effective))


def enough(max_error: float) -> int:
    """Spot checks below which nothing is said: about as many as refute `max_error` where none is wrong."""
    return round(4 / max_error)


def _watermark(rows: Sequence[Acted]) -> int | None:
    return min((each.item_id for each in rows if each.alone and each.drawn and each.wrong is None), default=None)


def _acted(row: Any) -> Acted:
    found = None if row.loss is None else bool(row.loss)
    return Acted(
        row.item_id, row.route, row.label, row.segment, row.p, row.drawn is not None, found, row.routed_at,
        {name: str(value) for name, value in json.loads(row.groups or "{}").items()},
    )  # fmt: skip


def _newest_first(session: Session, project_id: int, since: datetime) -> Iterator[Any]:
    """By the index of routings, in chunks, until one is older than the period as a whole."""
    last, seen = None, None
    while rows := session.execute(_chunk(project_id, last)).all():
        for row in rows:
            if row.item_id != seen:
                yield row
            seen = row.item_id
        last = rows[-1].item_id
        if len(rows) < CHUNK or all(row.routed_at < since for row in rows):
            return


def _chunk(project_id: int, last: int | None) -> Select[*tuple[Any, ...]]:
    drawn = and_(Draw.item_id == Routing.item_id, Draw.n == Routing.n, Draw.purpose == "evidence")
    query: Select[*tuple[Any, ...]] = (
        select(
            Routing.item_id, Routing.route, Routing.label, Routing.segment, Routing.routed_at,
            Routing.p_evidence.label("p"), Draw.item_id.label("drawn"), Draw.loss, Item.groups,
        )
        .join(Item, Item.id == Routing.item_id)
        .outerjoin(Draw, drawn)
        .where(Routing.project_id == project_id)
    )  # fmt: skip
    query = query if last is None else query.where(Routing.item_id < last)
    return query.order_by(Routing.item_id.desc(), Routing.n.desc()).limit(CHUNK)
