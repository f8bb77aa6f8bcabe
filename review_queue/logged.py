"""The log that a wish is tried on: the latest scored cases of the acting model, how they were routed, what looks at them found.

A case is looked at by its route (people decide it) or by a draw with a chance of its own; nothing else counts here: not gold, not
what somebody asked for, not answers to many cases at a time.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session

from contract.inputs import read_input
from contract.records import Prediction
from db.bulk import among
from db.tables import Decision, Draw, Item, Model, Routing
from db.tables import Prediction as PredictionRow
from review_queue import answers, pace, rules
from review_queue.errors import Refused
from review_queue.outcomes import ANSWERS
from review_queue.pace import Mean
from review_queue.routing import Rule

if TYPE_CHECKING:
    from review_queue.projects import Setting

LAST = 20_000
"""Routed cases, the latest first, that are looked back over unless another number is asked for."""
MOST = 200_000
CHUNK = 10_000

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Case:
    """One routed case by its latest routing. `p`: its chance of an evidence draw; `drawn`: that hit.

    `wrong` None: nobody looked at it (yet). `truth`: the first answer of a person; None where no label fits, or where the check
    was never answered and counts as an error. `values`: features and groups by name, where they were read.
    """

    item_id: int
    routed_at: datetime
    route: str
    label: str
    prediction: Prediction
    p: float
    p_second: float
    drawn: bool
    wrong: bool | None
    truth: str | None
    groups: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def alone(self) -> bool:
        return self.route == "auto"

    @property
    def pi(self) -> float:
        """The chance with which a person was to look at it."""
        return self.p if self.alone else 1.0


@dataclass(frozen=True)
class Log:
    """`cases`, oldest first, of the model that acts by `rule`. `read`: routed cases looked through; `whole`: there are no others.

    `left_out`: why others of them are no part of it, with counts. `days`: dates on which they came, in the project's zone, from
    the first to the last. `seconds`: of people's time a case takes.
    """

    cases: tuple[Case, ...]
    read: int
    whole: bool
    left_out: Mapping[str, int]
    rule: Rule
    version: int
    days: int
    hours: tuple[int, ...]
    seconds: Mean

    @cached_property
    def alone(self) -> Bools:
        """Which acted alone."""
        return self._which(lambda case: case.alone)

    @cached_property
    def pi(self) -> Floats:
        return np.array([case.pi for case in self.cases], dtype=np.float64)

    @cached_property
    def due(self) -> Bools:
        """Which somebody was to look at."""
        return self._which(lambda case: case.drawn or not case.alone)

    @cached_property
    def seen(self) -> Bools:
        """Which somebody looked at, or was to and did not in time."""
        return self._which(lambda case: case.wrong is not None)

    @cached_property
    def wrong(self) -> Bools:
        return self._which(lambda case: case.wrong is True)

    def _which(self, holds: Callable[[Case], bool]) -> Bools:
        return np.array([holds(case) for case in self.cases], dtype=np.bool_)


def read(session: Session, setting: "Setting", last: int = LAST, *, values: bool = True) -> Log:
    """The log of the latest `last` routed cases, at most MOST. `values`: read what conditions ask about, too.

    Raises Refused where no model acts yet, or `last` is no count up to MOST.
    """
    if not 1 <= last <= MOST:
        raise Refused(f"{last:,} cases cannot be looked back over; ask for 1 to {MOST:,}")
    rule = rules.in_force(session, setting.id, setting.policy)
    if rule is None:
        raise Refused(f"no model acts in {setting.name} yet, so nothing was routed that a policy could be tried on")
    found, left_out, count, whole = _found(session, setting, rule, last, values)
    zone = setting.project.zone
    dates = [case.routed_at.astimezone(zone).date() for case in (found[:1] + found[-1:])]
    times = [took for _, took in pace.seconds(answers.latest(session, setting.id))]
    return Log(
        cases=tuple(found),
        read=count,
        whole=whole,
        left_out=dict(left_out),
        rule=rule,
        version=session.get_one(Model, rule.model_id).version,
        days=(dates[-1] - dates[0]).days + 1 if dates else 0,
        hours=tuple(case.routed_at.astimezone(zone).hour for case in found),
        seconds=pace.mean(times),
    )


def _found(
    session: Session, setting: "Setting", rule: Rule, last: int, values: bool
) -> tuple[list[Case], Counter[str], int, bool]:
    """The cases, oldest first; what was left out; how many were read, and whether these are all there are."""
    labels = tuple(session.get_one(Model, rule.model_id).labels)
    found, left_out, count, before = list[Case](), Counter[str](), 0, None
    while True:
        size = min(CHUNK, last - count)
        rows = session.execute(_chunk(setting.id, before, values, size)).all()
        latest = list(_latest(rows))
        kept = [row for row in latest if not (why := _strange(row, rule)) or left_out.update([why])]
        said = _answers(session, [row.item_id for row in kept])
        found.extend(_case(setting, labels, row, said, values) for row in kept)
        count, before = count + len(latest), rows[-1].item_id if rows else None
        if len(rows) < size or count >= last:
            break
    more = before is not None and count >= last and _older(session, setting.id, latest[-1].item_id)
    return found[::-1], left_out, count, not more


def _latest(rows: Sequence[Any]) -> Iterator[Any]:
    """Of each item the latest routing, which stands first."""
    seen = None
    for row in rows:
        if row.item_id != seen:
            yield row
        seen = row.item_id


def _strange(row: Any, rule: Rule) -> str:
    """Why a routed item cannot be part of the log; empty: it can."""
    if row.route == "failed":
        return "could not be shown"
    if row.probabilities is None:
        return "not scored"
    return "" if row.model_id == rule.model_id else "scored by another model"


def _chunk(project_id: int, before: int | None, values: bool, size: int) -> Select[*tuple[Any, ...]]:
    """Routings with what belongs to each, by their index, the newest item first."""
    drawn = and_(Draw.item_id == Routing.item_id, Draw.n == Routing.n, Draw.purpose == "evidence")
    scored = and_(PredictionRow.item_id == Routing.item_id, PredictionRow.model_id == Routing.model_id)
    query: Select[*tuple[Any, ...]] = (
        select(
            Routing.item_id, Routing.routed_at, Routing.route, Routing.model_id, Routing.label, Routing.p_evidence.label("p"),
            Routing.p_second, PredictionRow.probabilities, PredictionRow.strangeness, Draw.item_id.label("drawn"), Draw.loss,
            Item.groups, *([Item.input] if values else []),
        )
        .join(Item, Item.id == Routing.item_id)
        .outerjoin(PredictionRow, scored)
        .outerjoin(Draw, drawn)
        .where(Routing.project_id == project_id)
    )  # fmt: skip
    query = query if before is None else query.where(Routing.item_id < before)
    return query.order_by(Routing.item_id.desc(), Routing.n.desc()).limit(size)


def _older(session: Session, project_id: int, item_id: int) -> bool:
    query = select(Routing.item_id).where(Routing.project_id == project_id, Routing.item_id < item_id).limit(1)
    return session.scalar(query) is not None


def _answers(session: Session, item_ids: Sequence[int]) -> dict[int, str | None]:
    """What people said first of each item, before the reveal where they were to answer blind."""
    of_rule = (Decision.basis.in_(("routed", "drawn")), Decision.verdict.in_(ANSWERS), Decision.supersedes_id.is_(None))
    query = select(Decision.item_id, Decision.label, Decision.stage, Decision.blind).where(
        among(session, Decision.item_id, item_ids), *of_rule
    )
    found: dict[int, str | None] = {}
    for item_id, label, stage, blind in session.execute(query.order_by(Decision.id)).tuples():
        if stage == "first" or not blind:
            found.setdefault(item_id, label)
    return found


def _case(setting: "Setting", labels: tuple[str, ...], row: Any, said: Mapping[int, str | None], values: bool) -> Case:
    groups = {name: str(value) for name, value in json.loads(row.groups or "{}").items() if value is not None}
    given = {**json.loads(row.groups or "{}"), **read_input(setting.project, row.input)} if values else {}
    wrong = None if row.loss is None else bool(row.loss)
    if wrong is None and row.route == "review" and row.item_id in said:
        wrong = said[row.item_id] != row.label
    truth = said.get(row.item_id)
    return Case(
        item_id=row.item_id,
        routed_at=row.routed_at,
        route=row.route,
        label=row.label,
        prediction=Prediction(labels, tuple(row.probabilities), row.strangeness),
        p=row.p,
        p_second=row.p_second,
        drawn=row.drawn is not None,
        wrong=wrong,
        truth=None if wrong and truth == row.label else truth,
        groups=groups,
        values=given,
    )
