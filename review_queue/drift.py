"""Whether what comes in strays from what the model learned from: windows of items, looked at again and again.

Every look spends LEVEL over all that it tests, so that of a thousand looks without any change one alarms on the average, however
often they are made and however much they depend on each other. An alarm raises the share of spot checks and tells the owners. It
is no error that was found, and no alarm is no proof that there are none.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import exists, insert, select, update
from sqlalchemy.orm import Session

from contract.inputs import read_input
from contract.policy import Drift
from contract.project import Project
from db import bulk
from db.statements import finds
from db.tables import DriftCheck, Item, Model, ModelSpread, Notice, Prediction, ProjectControl, Routing
from review_queue import clock, notices, projects, rules, spreads
from review_queue.projects import Setting
from review_queue.spreads import Along, Counted, Named

Floats = NDArray[np.float64]
Side = Literal["input", "score"]
KIND = "drift"
"""Of its notices."""
LEVEL = 0.001
"""The probability of an alarm at one look while nothing changes, at most."""
POOLED = 8
"""The last windows together are looked at as well: what moves slowly is seen there first."""
MOST = 5_000
"""Items of one look, the latest."""
COUNTED = 20_000
"""A reference counts for so many rows at most: beyond, its own chance no longer matters."""
NAMED = 5
"""Of what strayed, so much is told in a notice."""
LATEST = 20
CONFIDENCE, LABEL, STRANGENESS, LENGTH = "confidence", "label", "strangeness", "length"
_WORDS = {
    CONFIDENCE: "confidence",
    LABEL: "predicted label",
    STRANGENESS: "share of ordinary cases as far away",
    LENGTH: "characters",
}


@dataclass(frozen=True, slots=True)
class Due:
    """A window that is full: items after `after` up to `last`, and the rule under which they came."""

    setting: Setting
    drift: Drift
    model_id: int
    after: int
    last: int


@dataclass(frozen=True, slots=True)
class Seen:
    """The values of a window by side and name, in the order of its items; `ids`: theirs."""

    ids: tuple[int, ...]
    values: Mapping[tuple[Side, str], tuple[str, Sequence[Any]]]

    def __len__(self) -> int:
        return len(self.ids)

    def latest(self, count: int) -> "Seen":
        """The latest so many items of it."""
        return Seen(self.ids[-count:], {key: (kind, values[-count:]) for key, (kind, values) in self.values.items()})


@dataclass(frozen=True, slots=True)
class Moved:
    """How far the values of one name strayed. `p`: the probability of as much by chance; `apart`: the largest difference of two
    shares, of values at or below `at` or of the category `at`; `was` and `now`: that share."""

    side: Side
    name: str
    n: int
    p: float
    apart: float
    at: float | str | None
    was: float
    now: float
    alarmed: bool = False

    @property
    def called(self) -> str:
        return self.name if self.side == "input" else _WORDS[self.name]

    @property
    def said(self) -> str:
        """In words, with its numbers."""
        where = f"at or below {self.at:.6g}" if isinstance(self.at, float) else str(self.at)
        return f"{self.called} ({where}: {self.now:.1%}, it was {self.was:.1%})"


@dataclass(frozen=True, slots=True)
class Check:
    """One look. `moved`: all that was tested, what strayed most first; `reference`: what later looks of this model are held
    against, where it comes from this one."""

    first: int
    last: int
    n: int
    moved: tuple[Moved, ...]
    reference: Mapping[str, Any]

    @property
    def alarmed(self) -> bool:
        return any(each.alarmed for each in self.moved)


@dataclass(frozen=True, slots=True)
class Kept:
    """A look as it is kept."""

    id: int
    model_id: int
    n: int
    moved: tuple[Moved, ...]
    alarmed: bool
    made_at: Any


# What is due, and reading it


def due(session: Session, setting: Setting) -> Due | None:
    """The window of a project that is full and not looked at yet; None where there is none, or drift is not to be looked for."""
    drift, rule = setting.policy.drift, rules.in_force(session, setting.id, setting.policy)
    if not isinstance(drift, Drift) or rule is None:
        return None
    after = _after(session, setting.id, drift.every)
    query = select(Routing.item_id).where(Routing.project_id == setting.id, Routing.item_id > after)
    full = query.where(Routing.model_id == rule.model_id).order_by(Routing.item_id).offset(drift.every - 1).limit(1)
    last = session.scalar(full)
    return Due(setting, drift, rule.model_id, after, last) if last is not None else None


def read(session: Session, window: Due) -> tuple[Seen, int, dict[str, Along]]:
    """The latest items up to the end of a window, at most MOST; how many of them are the window; what they are held against."""
    wanted = min(max(window.drift.every, min(POOLED * window.drift.every, MOST)), MOST)
    columns = (Routing.item_id, Prediction.label, Prediction.confidence, Prediction.strangeness)
    query = (
        select(*columns)
        .join(Prediction, (Prediction.item_id == Routing.item_id) & (Prediction.model_id == Routing.model_id))
        .where(Routing.project_id == window.setting.id, Routing.item_id <= window.last, Routing.model_id == window.model_id)
        .order_by(Routing.item_id.desc())
        .limit(wanted)
    )
    rows = {row[0]: row for row in session.execute(query).tuples()}
    ids = sorted(rows)
    given = select(Item.id, Item.input).where(bulk.among(session, Item.id, ids))
    project = window.setting.project
    held = {item: read_input(project, text) for item, text in session.execute(given).tuples() if text is not None}
    seen = _seen(project, [rows[item] for item in ids if item in held], held)
    return seen, sum(item > window.after for item in seen.ids), _references(session, window)


def check(seen: Seen, fresh: int, references: Mapping[str, Along]) -> Check:
    """Hold the `fresh` latest items, and all of them together, against the references; what has none becomes one."""
    latest = seen.latest(fresh)
    spans = [latest, seen] if len(seen) > fresh else [latest]
    found = [each for span in spans for each in _tested(span, references)]
    alarmed = LEVEL / max(len(found), 1)
    worst: dict[tuple[Side, str], Moved] = {}
    for each in sorted(found, key=lambda moved: moved.p):
        worst.setdefault((each.side, each.name), each)
    moved = tuple(Moved(**{**asdict(each), "alarmed": each.p <= alarmed}) for each in worst.values())
    return Check(latest.ids[0], latest.ids[-1], len(latest), moved, _new(latest, references))


def _after(session: Session, project_id: int, every: int) -> int:
    """The last item that was looked at; before the first look the one so far back that this costs little."""
    last = select(DriftCheck.last_item_id).where(DriftCheck.project_id == project_id).order_by(DriftCheck.id.desc()).limit(1)
    back = select(Routing.item_id).where(Routing.project_id == project_id).order_by(Routing.item_id.desc())
    found = session.scalar(last)
    return found if found is not None else session.scalar(back.offset(4 * every).limit(1)) or 0


def _seen(project: Project, rows: Sequence[tuple[Any, ...]], held: Mapping[int, Mapping[str, Any]]) -> Seen:
    given = [held[row[0]] for row in rows]
    values: dict[tuple[Side, str], tuple[str, Sequence[Any]]] = {
        ("input", name): (feature.type, [each.get(name) for each in given])
        for name, feature in project.input.features.items()
        if feature.type in ("number", "category", "boolean")
    }
    if project.input.type == "text":
        feature = next(iter(project.input.features))
        values["score", LENGTH] = "number", [len(each.get(feature) or "") for each in given]
    values["score", CONFIDENCE] = "number", [row[2] for row in rows]
    values["score", LABEL] = "category", [row[1] for row in rows]
    values["score", STRANGENESS] = "share", [row[3] for row in rows]
    return Seen(tuple(row[0] for row in rows), values)


def _references(session: Session, window: Due) -> dict[str, Along]:
    """By side and name: the spread of what the model learned from, as long as nobody chose those rows; else that of the first
    window of this model."""
    first = select(DriftCheck.figures).where(DriftCheck.model_id == window.model_id).order_by(DriftCheck.id).limit(1)
    kept = session.scalar(first) or {"reference": {}}
    found = {key: spreads.read(each) for key, each in kept["reference"].items()}
    figures = session.scalar(select(Model.figures).where(Model.id == window.model_id)) or {}
    if figures.get("rows", {}).get("decided"):
        return found
    if held := figures.get("ordinary"):
        found[f"score:{STRANGENESS}"] = Counted(held, 0, tuple(part / spreads.PARTS for part in range(spreads.PARTS + 1)))
    body = session.scalar(select(ModelSpread.body).where(ModelSpread.model_id == window.model_id)) or {"features": {}}
    return {**found, **{f"input:{name}": spreads.read(each) for name, each in body["features"].items()}}


# Two samples


def _tested(seen: Seen, references: Mapping[str, Along]) -> Iterator[Moved]:
    for (side, name), (kind, values) in seen.values.items():
        reference = references.get(f"{side}:{name}")
        if isinstance(reference, Counted) and kind == "share":
            yield from _values(side, name, reference, _known(values))
        elif isinstance(reference, Counted):
            yield from _numbers(side, name, reference, [spreads.number(kind, value) for value in values])
        elif reference is not None:
            yield _categories(side, name, reference, Counter(spreads.name_of(kind, value) for value in values))


def _numbers(side: Side, name: str, reference: Counted, values: Sequence[float | None]) -> Iterator[Moved]:
    """The known ones by the largest difference of distribution functions, and how many are known."""
    known = _known(values)
    missing = Named(reference.n + reference.missing, 0, {"missing": reference.missing, "known": reference.n})
    yield _categories(side, name, missing, {"missing": len(values) - len(known), "known": len(known)})
    yield from _values(side, name, reference, known)


def _values(side: Side, name: str, reference: Counted, known: Sequence[float]) -> Iterator[Moved]:
    if known:
        apart, at, was, now = furthest(reference, np.sort(np.array(known, dtype=np.float64)))
        yield Moved(side, name, len(known), by_chance(apart, len(known), reference.n), apart, at, was, now)


def furthest(reference: Counted, known: Floats) -> tuple[float, float, float, float]:
    """How far apart the distribution functions are at least, where, and both shares at or below that value.

    Of the reference the function is known at its borders only to within what lies between them, and its quantiles are
    interpolated: of all that it may be, the nearest counts.
    """
    borders, first, counts = np.unique(np.array(reference.borders), return_index=True, return_counts=True)
    parts = len(reference.borders) - 1
    low = (first + counts - 1) / parts
    high = np.append(first[1:] / parts, 1.0)
    upto = np.searchsorted(known, borders, side="right") / len(known)
    under = np.searchsorted(known, borders, side="left") / len(known)
    below = np.append(0.0, low[:-1])
    above = first / parts
    gaps = np.stack([upto - high, low - upto, under - above, below - under])
    where = int(gaps.max(axis=0).argmax())
    strict = int(gaps[:, where].argmax()) > 1
    apart = max(float(gaps.max()) - 1 / max(reference.n, 1), 0.0)
    was, now = (above[where], under[where]) if strict else (low[where], upto[where])
    at = float(np.nextafter(borders[where], -np.inf) if strict else borders[where])
    return apart, at, float(was), float(now)


def by_chance(apart: float, n: int, m: int) -> float:
    """At most the probability that two samples of one distribution lie so far apart: e exp(-2 D^2 nm/(n+m)).

    Source: Wei and Dudley 2012, "Two-sample Dvoretzky-Kiefer-Wolfowitz inequalities", theorem 1 (with its largest constant).
    """
    m = min(m, COUNTED)
    return min(1.0, math.exp(1.0 - 2.0 * apart**2 * n * m / (n + m)))


def _categories(side: Side, name: str, reference: Named, counts: Mapping[Any, int]) -> Moved:
    """The category whose share moved least likely by chance, corrected for their number. Others than those kept are one."""
    was = Counter({**reference.counts, _OTHERS: reference.others, _MISSING: reference.missing})
    now = Counter[str]()
    for value, count in counts.items():
        now[_MISSING if value is None else value if value in was or not reference.others else _OTHERS] += count
    m, n = was.total(), now.total()
    scale = min(1.0, COUNTED / m)
    names = sorted(each for each in was | now if was[each] or now[each])
    found = [(rarity(now[each], n, round(was[each] * scale), round(m * scale)), each) for each in names]
    p, at = min(found)
    shares = was[at] / m, now[at] / n
    return Moved(side, name, n, min(1.0, p * len(names)), abs(shares[1] - shares[0]), at, *shares)


_OTHERS, _MISSING = "(others)", "(missing)"


def rarity(found: int, n: int, known: int, m: int) -> float:
    """How probable it is that of n + m rows, known + found of one kind, n drawn at random hold as few or as many: twice the
    smaller tail of the hypergeometric distribution (Fisher's exact test)."""
    logs = _factorials(n + m)
    kinds = found + known
    held = np.arange(max(0, kinds - m), min(n, kinds) + 1)
    ways = logs[kinds] - logs[held] - logs[kinds - held]
    others = logs[n + m - kinds] - logs[n - held] - logs[m - kinds + held]
    shares = np.exp(ways + others - (logs[n + m] - logs[n] - logs[m]))
    place = found - held[0]
    return min(1.0, 2.0 * float(min(shares[: place + 1].sum(), shares[place:].sum())))


@lru_cache(maxsize=64)
def _factorials(most: int) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])


def _new(latest: Seen, references: Mapping[str, Along]) -> dict[str, Any]:
    """What this window is the first to say."""
    keys = {f"{side}:{name}": (kind, values) for (side, name), (kind, values) in latest.values.items()}
    held = {key: ("number", _known(values)) if kind == "share" else (kind, values) for key, (kind, values) in keys.items()}
    made = {key: spreads.along(*each) for key, each in held.items() if key not in references}
    return {key: asdict(along) for key, along in made.items() if along is not None}


def _known(values: Sequence[Any]) -> list[Any]:
    return [value for value in values if value is not None]


# What follows


def keep(session: Session, window: Due, found: Check, draw_key_id: int) -> bool:
    """Keep a look, and act on an alarm; False where another process looked meanwhile."""
    setting = window.setting
    rules.lock(session, setting.id)
    if _after(session, setting.id, window.drift.every) > window.after:
        return False
    figures = {"moved": [asdict(each) for each in found.moved], "reference": dict(found.reference)}
    row = {
        "project_id": setting.id,
        "model_id": window.model_id,
        "first_item_id": found.first,
        "last_item_id": window.last,
        "n": found.n,
        "figures": figures,
        "alarmed": found.alarmed,
        "made_at": clock.now(),
    }
    session.execute(insert(DriftCheck).values(row))
    if found.alarmed:
        _raise(session, window, found, draw_key_id)
    return True


def settle(session: Session) -> int:
    """Where an owner has closed the notice, spot checks go back to the rate that was signed for; in how many projects."""
    settled = list(session.scalars(_over()))
    for project_id in settled:
        rules.lock(session, project_id)
        if session.scalar(_over().where(ProjectControl.project_id == project_id)) is None:
            continue  # another notice was opened meanwhile
        _rate(session, project_id, None)
        setting = projects.by_id(session, project_id)
        rule = rules.in_force(session, project_id, setting.policy)
        if rule is not None:
            _renew(session, setting, rule.draw_key_id, "the notice of drift is closed")
    return len(settled)


def is_settled(session: Session) -> bool:
    """Whether spot checks are raised somewhere without an open notice."""
    return finds(session, _over())


def latest(session: Session, project_id: int, limit: int = LATEST) -> list[Kept]:
    """The looks of a project, the newest first."""
    query = select(DriftCheck).where(DriftCheck.project_id == project_id).order_by(DriftCheck.id.desc()).limit(limit)
    return [
        Kept(row.id, row.model_id, row.n, tuple(Moved(**each) for each in row.figures["moved"]), row.alarmed, row.made_at)
        for row in session.scalars(query)
    ]


def _over() -> Any:
    told = exists().where(Notice.project_id == ProjectControl.project_id, Notice.kind == KIND, Notice.closed_at.is_(None))
    return select(ProjectControl.project_id).where(ProjectControl.raised_rate.is_not(None), ~told)


def _raise(session: Session, window: Due, found: Check, draw_key_id: int) -> None:
    setting, rate = window.setting, window.drift.audit_rate
    strayed = [each for each in found.moved if each.alarmed]
    figures = {"n": found.n, "strayed": [asdict(each) for each in strayed]}
    if notices.open_notice(session, setting.id, KIND, "cases", said(setting, strayed, found.n, rate), figures):
        _rate(session, setting.id, rate)
        _renew(session, setting, draw_key_id, "cases stray from what the model learned from")


def said(setting: Setting, strayed: Sequence[Moved], n: int, rate: float) -> str:
    """The sentence of a notice."""
    named = "; ".join(each.said for each in strayed[:NAMED])
    more = f"; and {len(strayed) - NAMED} more" if len(strayed) > NAMED else ""
    return (
        f"The last {n:,} cases differ by more than chance from those that the model learned from, or began with: {named}{more}. "
        f"At least {rate:.4g} of what acts alone is spot-checked until an owner closes this notice. Whether the model errs more "
        "often is for the spot checks to say."
    )


def _rate(session: Session, project_id: int, rate: float | None) -> None:
    session.execute(update(ProjectControl).where(ProjectControl.project_id == project_id).values(raised_rate=rate))
    session.expire_all()


def _renew(session: Session, setting: Setting, draw_key_id: int, cause: str) -> None:
    rules.renew(session, setting.id, setting.policy, list(setting.project.labels), draw_key_id, cause)
