"""Two models on the same live cases, the one that acts and one in its shadow: how often they differ, and who was right then.

Where both say the same, neither is wrong alone, so only cases on which they differ are looked at. Each counts by its chance of a
look; one at which nobody looked in time, or could, counts against the model in shadow. Sources: Horvitz and Thompson 1952 for the
weights, Waudby-Smith and Ramdas 2024 for the bets, by way of `duel`.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Integer, case, cast, func, literal_column, select
from sqlalchemy.orm import Session

from db import bulk
from db.tables import Item, ItemKey, Routing, RoutingRule, Shadow
from db.tables import Prediction as PredictionRow
from db.types import EPOCH
from review_queue import challenges, duel, looked, projects, shadows, succession
from review_queue.challenges import Challenge
from review_queue.duel import Cell
from review_queue.looked import Look, Routed
from review_queue.projects import Setting

MOST = 20_000
"""Cases on which the two differ that are read, the latest; of older ones only the number is told."""
DAYS = 60
"""Days of which the course is told, the latest."""
NOBODY = "no label fits"
_DAY = {
    "sqlite": "shadow.scored_at / 86400000000",
    "postgresql": "CAST(floor(extract(epoch FROM shadow.scored_at) / 86400) AS bigint)",
}


@dataclass(frozen=True, slots=True)
class Part:
    """Cases on which the two differ, whose right label is known: `acting` alone was right, `beside` alone, or neither.

    `by`: label, or the name of a group; `value`: which.
    """

    by: str
    value: str
    acting: int
    beside: int
    neither: int


@dataclass(frozen=True, slots=True)
class Day:
    """`n` cases of a day (UTC), `agreed` of them alike; `log_e` as of its end."""

    day: date
    n: int
    agreed: int
    log_e: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What a challenge showed so far. `n` cases, `agreed` of them alike, `silent` on which the model in shadow failed; `waiting`
    to be asked of.

    Of the cases on which they differ: `judged` ones have their right label, `open` ones wait for people, at `late` ones nobody
    looked in time, at `unseen` ones nobody could. `whole`: who was right. `difference`: by how much more often the model in
    shadow is wrong, of all cases, with limits that hold at all times; None before one is judged. `log_e`: that it is wrong less
    often, `log_e_worse`: more often; a fact at `line`.
    """

    n: int
    agreed: int
    silent: int
    waiting: int
    judged: int
    open: int
    late: int
    unseen: int
    whole: Part
    difference: float | None
    low: float
    high: float
    log_e: float
    log_e_worse: float
    line: float
    parts: tuple[Part, ...]
    days: tuple[Day, ...]

    @property
    def differ(self) -> int:
        return self.n - self.agreed

    @property
    def better(self) -> bool:
        """Whether it is shown that the model in shadow is wrong less often than the one that acts."""
        return self.log_e >= self.line

    @property
    def worse(self) -> bool:
        return self.log_e_worse >= self.line


@dataclass(frozen=True, slots=True)
class _Stage:
    """The stretch of cases under one rule. `least`: the least chance of a look at what acted alone and differs."""

    rule: int
    least: float


@dataclass(frozen=True, slots=True)
class _Case:
    """A case on which the two differ. `p`: the chance of a look, 0 where nobody could; `open`: a look that is not over; `late`:
    one that was not in time; `known`: its right label is `truth`. `gone`: it was to be
    answered, and was taken back before; what acted alone stays, whether or not a draw hit it."""

    item_id: int
    day: date
    stage: _Stage
    p: float
    acting: str | None
    beside: str | None
    known: bool
    open: bool
    late: bool
    gone: bool
    truth: str | None
    groups: Mapping[str, str]

    @property
    def d(self) -> int:
        """By how much more the model in shadow is wrong; the worst where nobody knows, and somebody should."""
        if not self.known:
            return int(self.late or self.p == 0)
        return int(self.beside != self.truth) - int(self.acting != self.truth)


def figures(session: Session, challenge_id: int) -> Figures:
    """What a challenge, standing or ended, showed. Raises NotFound."""
    stood = challenges.challenge(session, challenge_id)
    setting = projects.by_id(session, stood.project_id)
    days, cases, alike = _days(session, stood), _cases(session, setting, stood), _alike(session, stood)
    counted = _before_open(cases)
    n, agreed = sum(n for n, _, _ in days.values()), sum(agreed for _, agreed, _ in days.values())
    delta = 1 - setting.policy.evidence.confidence
    cells = _cells(counted, alike)
    known = [each for each in counted if each.known]
    found = duel.estimate(cells) if known else None
    standing = stood.ended_at is None
    return Figures(
        n=n,
        agreed=agreed,
        silent=sum(silent for _, _, silent in days.values()),
        waiting=shadows.waiting(session, stood.project_id) if standing else 0,
        judged=sum(each.known for each in cases),
        open=sum(each.open for each in cases),
        late=sum(each.late for each in cases),
        unseen=sum(each.p == 0 and not each.known for each in cases),
        whole=_part("", "", known),
        difference=found[0] if found else None,
        low=duel.lower(cells, delta) if known else -1.0,
        high=duel.upper(cells, delta) if known else 1.0,
        log_e=duel.log_e(cells, 0.0),
        log_e_worse=duel.log_e_worse(_cells(counted, assume=-1), 0.0),
        line=duel.line(delta),
        parts=tuple(_parts(known, setting.project.input.groups)),
        days=tuple(_course(days, counted)),
    )


def proven_back(session: Session, setting: Setting) -> str | None:
    """Where the former champion, in shadow, is shown to be wrong less often than the model that acts: so in words."""
    stood = succession.way_back(session, setting.id)
    if stood is None:
        return None
    cases = _before_open(_cases(session, setting, stood))
    log_e, line = duel.log_e(_cells(cases), 0.0), duel.line(1 - setting.policy.evidence.confidence)
    if log_e < line:
        return None
    whole = _part("", "", [each for each in cases if each.known])
    return (
        f"where the two differed, it was right in {whole.beside:,} cases and model {stood.against} in {whole.acting:,} of those "
        "that people looked at, which shows that it is wrong less often"
    )


def _days(session: Session, stood: Challenge) -> dict[date, tuple[int, int, int]]:
    """Cases of each day, those on which the two agree, and those on which the model in shadow failed."""
    said = (PredictionRow.item_id == Shadow.item_id) & (PredictionRow.model_id == stood.model_id)
    day = literal_column(_DAY[session.get_bind().dialect.name], Integer)
    agreed, silent = func.sum(cast(Shadow.agrees, Integer)), func.sum(case((PredictionRow.item_id.is_(None), 1), else_=0))
    query = select(day, func.count(), agreed, silent).select_from(Shadow).outerjoin(PredictionRow, said)
    rows = session.execute(query.where(Shadow.challenge_id == stood.id).group_by(day).order_by(day)).tuples()
    return {EPOCH.date() + timedelta(days=number): (n, alike, failed) for number, n, alike, failed in rows}


def _alike(session: Session, stood: Challenge) -> dict[_Stage, int]:
    """How many cases the two agree on, by stage."""
    routed = (Routing.item_id == Shadow.item_id) & (Routing.n == Shadow.n)
    query = select(RoutingRule.id, RoutingRule.pi_min, func.count()).select_from(Shadow).join(Routing, routed)
    query = query.join(RoutingRule, RoutingRule.id == Routing.routing_rule_id).group_by(RoutingRule.id, RoutingRule.pi_min)
    rows = session.execute(query.where(Shadow.challenge_id == stood.id, Shadow.agrees)).tuples()
    return {_stage(rule, least, stood.share): n for rule, least, n in rows}


def _stage(rule: int, least: float, share: float) -> _Stage:
    return _Stage(rule, 1 - (1 - least) * (1 - share) or 1.0)


def _cases(session: Session, setting: Setting, stood: Challenge) -> list[_Case]:
    """The latest cases on which the two differ, oldest first."""
    rows = _apart(session, stood)
    looks = looked.looks(session, [Routed(row.item_id, row.n, row.route == "review", row.label) for row in rows])
    chances, names = _chances(session, list(looks)), setting.project.input.groups
    found = [_case(row, chances[row.item_id], stood.share, looks[row.item_id], names) for row in rows]
    return [each for each in found if not each.gone]


def _apart(session: Session, stood: Challenge) -> Sequence[Any]:
    said = (PredictionRow.item_id == Shadow.item_id) & (PredictionRow.model_id == stood.model_id)
    routed = (Routing.item_id == Shadow.item_id) & (Routing.n == Shadow.n)
    columns: tuple[Any, ...] = (Shadow.item_id, Shadow.n, Shadow.scored_at, Routing.route, Routing.label, Routing.p_evidence)
    columns += (Routing.routing_rule_id, RoutingRule.pi_min, PredictionRow.label.label("beside"), Item.groups, ItemKey.closed_at)
    query = select(*columns).join(Routing, routed).join(RoutingRule, RoutingRule.id == Routing.routing_rule_id)
    query = query.join(Item, Item.id == Shadow.item_id).join(ItemKey, ItemKey.item_id == Shadow.item_id)
    query = query.outerjoin(PredictionRow, said)
    theirs = (Shadow.challenge_id == stood.id, ~Shadow.agrees)
    return session.execute(query.where(*theirs).order_by(Shadow.item_id.desc()).limit(MOST)).all()[::-1]


def _chances(session: Session, ids: list[int]) -> dict[int, float]:
    """The chance that people look at a case since some model in shadow differs on it."""
    found: dict[int, float] = {}
    query = select(Shadow.item_id, Shadow.p).where(bulk.among(session, Shadow.item_id, ids))
    for item_id, p in session.execute(query).tuples():
        found[item_id] = 1 - (1 - found.get(item_id, 0.0)) * (1 - p)
    return found


def _case(row: Any, chance: float, share: float, look: Look, names: Iterable[str]) -> _Case:
    reviewed = row.route == "review"
    groups = json.loads(row.groups or "{}")
    return _Case(
        item_id=row.item_id,
        day=row.scored_at.date(),
        stage=_stage(row.routing_rule_id, row.pi_min, share),
        p=1.0 if reviewed else 1 - (1 - row.p_evidence) * (1 - chance),
        acting=row.label,
        beside=row.beside,
        known=look.known,
        open=look.waits,
        late=look.late,
        gone=reviewed and row.closed_at is not None and look.waits,
        truth=look.truth,
        groups={name: str(groups[name]) for name in names if groups.get(name) is not None},
    )


def _before_open(cases: Sequence[_Case]) -> list[_Case]:
    """Those before the first that still waits: slow cases are hard ones, so none is counted before those that came earlier."""
    first = next((n for n, each in enumerate(cases) if each.open), len(cases))
    return list(cases[:first])


def _cells(cases: Sequence[_Case], alike: Mapping[_Stage, int] | None = None, *, assume: int = 1) -> list[Cell]:
    """Counts for `duel`, with the cases on which the two agree, which only limits need: none of them is of one alone.

    The stakes of a stage rest on the least chance of a look there, of every case alike: they may not know whether the two differ.
    `assume`: what is taken to be true where nobody looked in time or could.
    """
    agreed = alike or {}
    least = {stage: stage.least for stage in (*agreed, *(each.stage for each in cases))}
    for each in cases:
        least[each.stage] = min(least[each.stage], each.p or 1.0)
    counts = Counter[tuple[float, float, int, bool]]()
    for each in cases:
        assumed = not each.known and (each.late or each.p == 0)
        counts[least[each.stage], each.p or 1.0, assume if assumed else each.d, assumed] += 1
    cells = [Cell(p_min, p, d, n, assumed) for (p_min, p, d, assumed), n in counts.items()]
    return [*cells, *(Cell(least[stage], 1.0, 0, n) for stage, n in agreed.items())]


def _part(by: str, value: str, known: Sequence[_Case]) -> Part:
    acting, beside = sum(each.acting == each.truth for each in known), sum(each.beside == each.truth for each in known)
    return Part(by, value, acting, beside, len(known) - acting - beside)


def _parts(known: Sequence[_Case], names: Iterable[str]) -> Iterator[Part]:
    """By the right label, then by each group, the most frequent first."""
    yield from _by("label", known, [NOBODY if each.truth is None else each.truth for each in known])
    for name in names:
        yield from _by(name, known, [each.groups.get(name, "") for each in known])


def _by(name: str, known: Sequence[_Case], values: Sequence[str]) -> Iterator[Part]:
    for value, _ in Counter(value for value in values if value).most_common():
        yield _part(name, value, [each for each, its in zip(known, values, strict=True) if its == value])


def _course(days: Mapping[date, tuple[int, int, int]], cases: Sequence[_Case]) -> Iterator[Day]:
    for day, (n, agreed, _) in list(days.items())[-DAYS:]:
        yield Day(day, n, agreed, duel.log_e(_cells([each for each in cases if each.day <= day]), 0.0))
