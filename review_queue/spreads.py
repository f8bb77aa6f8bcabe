"""How the values that a model learned from are spread, by feature: what a case's value is held against at the desk.

Never of labels: where a value lies says nothing of an answer. Texts and images have no place on a line, and have none here.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from contract.project import Feature, Project
from contract.records import Row
from db.tables import Model, ModelAlias, ModelSpread
from review_queue import clock

PARTS = 100
"""Equal shares of the rows between whose borders numbers are told apart."""
MOST = 1_000
"""Categories of a feature that are kept, the most frequent; of the others it is known that they were seen."""
RARE = 0.01
"""A category with a smaller share is rare."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one number lies: shares of the rows whose value is smaller, and the same. `below`, `above`: beyond all of them."""

    smaller: float
    same: float
    below: bool = False
    above: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """Numbers, or dates as days since 1970 (UTC): `n` known values, `missing` others, borders (PARTS + 1,) from the smallest
    to the largest."""

    n: int
    missing: int
    borders: tuple[float, ...]

    def place(self, value: float) -> Place:
        """Shares are as fine as the borders are, a hundredth."""
        low, high = bisect_left(self.borders, value), bisect_right(self.borders, value)
        if high == 0 or low == len(self.borders):
            return Place(float(low > 0), 0.0, below=low == 0, above=low > 0)
        parts, first = len(self.borders) - 1, max(low - (low == high), 0)
        return Place(min(first / parts, (self.n - 1) / self.n), max(high - 1 - low, 0) / parts)


@dataclass(frozen=True, slots=True)
class Named:
    """Categories: `n` known values, `missing` others, how often each of the most frequent, and how many have `others`."""

    n: int
    missing: int
    counts: Mapping[str, int]
    others: int = 0

    def share(self, value: str) -> float | None:
        """The share of a category; None for one whose number was not kept."""
        known = self.counts.get(value)
        return None if known is None and self.others else (known or 0) / self.n

    @property
    def most(self) -> tuple[str, float]:
        """The most frequent category and its share."""
        name = max(self.counts, key=lambda each: self.counts[each])
        return name, self.counts[name] / self.n


Along = Counted | Named


@dataclass(frozen=True, slots=True)
class Spread:
    """`rows` that were looked at, by feature. `whole`: all that the model learned from, not a sample of it."""

    rows: int
    whole: bool
    features: Mapping[str, Along]

    def of(self, name: str, feature: Feature) -> Along | None:
        """A feature's, under its present name or the one it had."""
        return self.features.get(name) or self.features.get(feature.was or "")


def spread(project: Project, rows: Sequence[Row], *, whole: bool) -> Spread:
    """Of rows as a model takes them. A feature none of whose values can be read is left out."""
    found = {name: along(feature.type, [row.get(name) for row in rows]) for name, feature in project.input.features.items()}
    return Spread(len(rows), whole, {name: along for name, along in found.items() if along is not None})


def number(kind: str, value: Any) -> float | None:
    """A number, or a date as days since 1970; None for what is none."""
    if kind == "date":
        return _days(value)
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and math.isfinite(value) else None


def name_of(kind: str, value: Any) -> str | None:
    """A category or a boolean under the name by which it is counted; None for a missing one."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return str(value).lower() if kind == "boolean" else str(value)


def keep(session: Session, model_id: int, found: Spread) -> None:
    """Keep a model's spread; what is there already stays as it is."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    row = {"model_id": model_id, "body": _body(found), "made_at": clock.now()}
    session.execute(dialect.insert(ModelSpread).values(row).on_conflict_do_nothing())


def lacks(session: Session, model_id: int) -> bool:
    """Whether a model has none yet."""
    return not session.scalar(select(exists().where(ModelSpread.model_id == model_id)))


def acting(session: Session, project_id: int) -> Spread | None:
    """That of the model that acts now, whichever model a case was routed by: so a strip tells no case from another.

    None where nothing is known of what it learned from.
    """
    query = select(ModelSpread.body).join(Model, Model.id == ModelSpread.model_id)
    query = query.join(ModelAlias, (ModelAlias.model_id == Model.id) & (ModelAlias.alias == "champion"))
    body = session.scalar(query.where(ModelAlias.project_id == project_id))
    return _spread(body) if body is not None else None


def along(kind: str, values: Sequence[Any]) -> Along | None:
    """How values of one kind of feature are spread; None where none of them can be read, or they have no place."""
    if kind in ("number", "date"):
        return _counted([number(kind, value) for value in values])
    if kind in ("category", "boolean"):
        return _named([name_of(kind, value) for value in values])
    return None


def _counted(values: Sequence[float | None]) -> Counted | None:
    known = sorted(value for value in values if value is not None)
    return Counted(len(known), len(values) - len(known), tuple(_borders(known))) if known else None


def _borders(known: Sequence[float]) -> Iterable[float]:
    """Quantiles by linear interpolation between neighbours (type 7 of Hyndman and Fan 1996)."""
    for part in range(PARTS + 1):
        at = part * (len(known) - 1) / PARTS
        low = int(at)
        high = min(low + 1, len(known) - 1)
        yield known[low] + (known[high] - known[low]) * (at - low)


def _named(values: Sequence[str | None]) -> Named | None:
    counts = Counter(value for value in values if value is not None)
    if not counts:
        return None
    kept = dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST])
    return Named(counts.total(), len(values) - counts.total(), kept, counts.total() - sum(kept.values()))


def _days(value: Any) -> float | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH).total_seconds() / 86_400


def _body(found: Spread) -> dict[str, Any]:
    return {"rows": found.rows, "whole": found.whole, "features": {name: asdict(each) for name, each in found.features.items()}}


def _spread(body: Mapping[str, Any]) -> Spread:
    features = {name: read(each) for name, each in body["features"].items()}
    return Spread(body["rows"], body["whole"], features)


def read(held: Mapping[str, Any]) -> Along:
    """One of them as it was kept, by `asdict`."""
    if "counts" in held:
        return Named(held["n"], held["missing"], held["counts"], held["others"])
    return Counted(held["n"], held["missing"], tuple(held["borders"]))
