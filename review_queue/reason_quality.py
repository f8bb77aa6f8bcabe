"""How good the explanations of a model version are: sums kept as they are made, and a sample that was tried again."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from contract.records import Explanation
from db.statements import finds
from db.tables import Explanation as ExplanationRow
from db.tables import ReasonCheck, ReasonQuality
from review_queue import clock

Z95 = 1.959964
"""Of a two-sided interval of 95 % of the normal distribution."""
LEAST_CHECKED = 10
"""Explanations tried again before an interval is given."""


@dataclass(frozen=True, slots=True)
class Gain:
    """How far the label's probability falls, on average over the course of hiding, in the explanation's order (`own`) and in
    random ones (`chance`); `low` and `high` are the 95 % interval of the difference."""

    own: float
    chance: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Of one model version by one method: explanations made and of these without result (`failed`) and called unstable at once
    (`doubted`); mean R² of surrogates (`fit`); the largest share of |f - base| that contributions missed (`most_gap`); mean
    seconds. Of the `checked` ones the mean overlap over seeds, the gain of their order over random ones, and the most that one
    was `apart` from the library's own weights, where these were asked for."""

    method: str
    made: int
    failed: int
    doubted: int
    fit: float | None
    most_gap: float
    seconds: float
    checked: int = 0
    stability: float | None = None
    gain: Gain | None = None
    apart: float | None = None


def count(session: Session, model_id: int, made: Sequence[Explanation]) -> None:
    """Add new explanations of a model version to its sums."""
    methods = sorted({each.method for each in made})  # in one order, so that no two workers wait for each other
    for method in methods:
        added = _sums(each for each in made if each.method == method)
        dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
        adding = dialect.insert(ReasonQuality).values(model_id=model_id, method=method, **added)
        new, gap = adding.excluded, ReasonQuality.most_gap
        sums = {name: getattr(ReasonQuality, name) + new[name] for name in added if name != "most_gap"}
        sums["most_gap"] = case((gap < new.most_gap, new.most_gap), else_=gap)
        keys = [ReasonQuality.model_id, ReasonQuality.method]
        session.execute(adding.on_conflict_do_update(index_elements=keys, set_=sums))


def check(
    session: Session,
    item_id: int,
    model_id: int,
    *,
    method: str,
    label: str,
    stability: float,
    areas: tuple[float, float],
    apart: float | None = None,
) -> None:
    """Keep what was seen when a stored explanation was made again: `areas` of its own order and of random ones; how far it is
    `apart` from the library's own weights, as a share of the largest."""
    same = {"item_id": item_id, "model_id": model_id, "method": method, "label": label}
    if not finds(session, select(ExplanationRow.id).filter_by(**same)):
        return
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    seen = {"stability": stability, "area": areas[0], "random_area": areas[1], "apart": apart, "made_at": clock.now()}
    session.execute(dialect.insert(ReasonCheck).values({**same, **seen}).on_conflict_do_nothing())


def checked(session: Session, model_id: int) -> dict[str, int]:
    """How many explanations of a model version were tried again, by method."""
    query = select(ReasonCheck.method, func.count()).where(ReasonCheck.model_id == model_id).group_by(ReasonCheck.method)
    return dict(session.execute(query).tuples().all())


def of_model(session: Session, model_id: int) -> list[Quality]:
    """The quality of a model version's explanations, by method in alphabetical order; empty where none was made."""
    query = select(ReasonQuality).where(ReasonQuality.model_id == model_id).order_by(ReasonQuality.method)
    rows = session.scalars(query.execution_options(populate_existing=True)).all()
    return [_quality(row, _tried(session, model_id, row.method)) for row in rows]


_Tried = Sequence[tuple[float, float, float, float | None]]


def _tried(session: Session, model_id: int, method: str) -> _Tried:
    columns = (ReasonCheck.stability, ReasonCheck.area, ReasonCheck.random_area, ReasonCheck.apart)
    theirs = (ReasonCheck.model_id == model_id, ReasonCheck.method == method)
    return session.execute(select(*columns).where(*theirs).order_by(ReasonCheck.item_id)).tuples().all()


def _sums(made: Iterable[Explanation]) -> dict[str, Any]:
    every = list(made)
    fits = [each.quality["local_r2"] for each in every if "local_r2" in each.quality]
    return {
        "made": len(every),
        "failed": sum(each.problem is not None for each in every),
        "doubted": sum(each.problem is None and each.doubt is not None for each in every),
        "fits": len(fits),
        "fit": math.fsum(fits),
        "most_gap": max((each.quality.get("relative_gap", 0.0) for each in every), default=0.0),
        "seconds": math.fsum(each.seconds for each in every),
    }


def _quality(row: ReasonQuality, tried: _Tried) -> Quality:
    return Quality(
        method=row.method,
        made=row.made,
        failed=row.failed,
        doubted=row.doubted,
        fit=row.fit / row.fits if row.fits else None,
        most_gap=row.most_gap,
        seconds=row.seconds / row.made,
        checked=len(tried),
        stability=fmean(stability for stability, *_ in tried) if tried else None,
        gain=_gain([(area, random) for _, area, random, _ in tried]),
        apart=max((apart for *_, apart in tried if apart is not None), default=None),
    )


def _gain(areas: Sequence[tuple[float, float]]) -> Gain | None:
    """The means and their difference; None for few."""
    if len(areas) < LEAST_CHECKED:
        return None
    further = [area - random for area, random in areas]
    mean, error = fmean(further), Z95 * stdev(further) / math.sqrt(len(further))
    return Gain(fmean(area for area, _ in areas), fmean(random for _, random in areas), mean - error, mean + error)
