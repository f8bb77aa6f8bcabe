"""How right the model was and how right people were, by what later proved true, each with its exact limits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import bulk
from db.tables import Decision, Routing, Truth
from review_queue import exact, truths
from review_queue.outcomes import ANSWERS

MOST = 10_000
"""Truths, the latest told first, that figures look back over."""


@dataclass(frozen=True, slots=True)
class Right:
    """How many of some cases were right; limits by Clopper and Pearson (1934), None of no case."""

    part: int
    of: int
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class ByLabel:
    """Cases of which one label proved true; None: no label fits."""

    label: str | None
    n: int
    model: Right
    people: Right


@dataclass(frozen=True, slots=True)
class Differing:
    """Cases that people answered otherwise than was predicted."""

    n: int
    model: Right
    people: Right


@dataclass(frozen=True, slots=True)
class Proved:
    """Cases whose truth is known; `whole`: these are all there are. `alone`: the model, where it acted alone."""

    n: int
    whole: bool
    model: Right
    alone: Right
    people: Right
    differing: Differing
    labels: tuple[ByLabel, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    true: str | None
    predicted: str | None
    alone: bool
    answered: bool
    answer: str | None

    @property
    def differs(self) -> bool:
        return self.answered and self.predicted is not None and self.answer != self.predicted


def figures(session: Session, project_id: int, among: int = MOST) -> Proved:
    """Figures of a project over its latest truths. The prediction is that of the last routing, the answer the last that stands of
    people. They are of the cases whose truth became known, which may be no fair sample of all."""
    told = select(Truth.item_id).where(Truth.project_id == project_id).order_by(Truth.made_at.desc(), Truth.id.desc())
    ids = session.scalars(told.limit(among + 1)).all()
    cases = _cases(session, list(dict.fromkeys(ids[:among])))
    apart = [case for case in cases if case.differs]
    return Proved(
        n=len(cases),
        whole=len(ids) <= among,
        model=_model(cases),
        alone=_model(case for case in cases if case.alone),
        people=_people(cases),
        differing=Differing(len(apart), _model(apart), _people(apart)),
        labels=tuple(_labels(cases)),
    )


def right(part: int, of: int) -> Right:
    """A count with its exact limits."""
    return Right(part, of, *(exact.interval(part, of) if of else (None, None)))


def _cases(session: Session, ids: Sequence[int]) -> list[_Case]:
    facts, routed, said = truths.of(session, ids), _routed(session, ids), _said(session, ids)
    return [
        _Case(facts[each].label, *routed.get(each, (None, False)), each in said, said.get(each)) for each in ids if each in facts
    ]


def _routed(session: Session, ids: Sequence[int]) -> dict[int, tuple[str | None, bool]]:
    query = select(Routing.item_id, Routing.label, Routing.route).where(bulk.among(session, Routing.item_id, ids))
    rows = session.execute(query.order_by(Routing.item_id, Routing.n)).tuples()
    return {item_id: (label, route == "auto") for item_id, label, route in rows}  # the last of each stands


def _said(session: Session, ids: Sequence[int]) -> dict[int, str | None]:
    answers = (Decision.stage == "final", Decision.verdict.in_(ANSWERS), Decision.basis != "gold")
    theirs = (bulk.among(session, Decision.item_id, ids), *answers)
    newest = select(func.max(Decision.id)).where(*theirs).group_by(Decision.item_id)
    return dict(session.execute(select(Decision.item_id, Decision.label).where(Decision.id.in_(newest))).tuples().all())


def _model(cases: Iterable[_Case]) -> Right:
    held = [case for case in cases if case.predicted is not None]
    return right(sum(case.predicted == case.true for case in held), len(held))


def _people(cases: Iterable[_Case]) -> Right:
    held = [case for case in cases if case.answered]
    return right(sum(case.answer == case.true for case in held), len(held))


def _labels(cases: Sequence[_Case]) -> Iterable[ByLabel]:
    for label in sorted({case.true for case in cases}, key=lambda each: (each is None, each or "")):
        held = [case for case in cases if case.true == label]
        yield ByLabel(label, len(held), _model(held), _people(held))
