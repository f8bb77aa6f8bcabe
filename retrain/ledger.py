"""The cases on which two models are held against each other: what each says, who looked and with which chance, what is right.

Cases that neither learned from: those that arrived after both had learned, and those of the test split where both were trained
here. What came with the project and was set aside is a stage of its own, in which every label is known.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from contract.inputs import read_input
from contract.records import Prediction, Row
from db import blobs, bulk
from db.engine import Database
from db.tables import Challenge, Dataset, Item, ItemKey, Routing, RoutingRule, Shadow
from db.tables import Prediction as PredictionRow
from retrain import datasets, examples, rows
from retrain.records import ModelInfo
from review_queue import looked, predictions, versions
from review_queue.looked import Look, Routed
from review_queue.projects import Setting

MOST = 200_000
"""Cases that are looked at, the oldest first."""
CHUNK, DIGITS = 500, 12
ASIDE, ARRIVED = "set aside", "arrived"
NONE, UNKNOWN, SILENT = -1, -2, -3
"""In place of a label: none fits; nobody has said yet; the model gave none."""
Progress = Callable[[float, str], None]
Ask = Callable[[Sequence[Row]], Sequence[Any]]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Case:
    """One case. `p`: the chance of a look, 0 where nobody could; `least` and `least_apart`: the least chance of one in its stage
    (the stretch under one rule, and one challenge), of all cases and of those on which the two models differ. They are known
    before the models are asked, so that no stake hangs on what these say; a case may still have had a lower chance.

    `looked`: somebody was to look. `late`: nobody did in time. `old`, `new`, `truth`: labels; None: none.
    """

    item_id: int
    p: float
    least: float
    least_apart: float
    looked: bool
    known: bool
    late: bool
    truth: str | None
    old: str | None
    new: str | None
    groups: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ledger:
    """(n,) arrays, oldest first; what was set aside comes first. `labels` name the numbers in `old`, `new` and `truth`.

    `groups`: name -> (n,) values, None where there is none. `watermark`: the id behind the last case.
    """

    labels: tuple[str, ...]
    aside: Bools
    p: Floats
    least: Floats
    least_apart: Floats
    looked: Bools
    known: Bools
    late: Bools
    truth: Ints
    old: Ints
    new: Ints
    groups: Mapping[str, NDArray[np.object_]]
    watermark: int

    @property
    def differ(self) -> Bools:
        return np.asarray(self.old != self.new)

    @property
    def d(self) -> Ints:
        """By how much more the new model is wrong, where the right label is known."""
        return np.asarray((self.new != self.truth).astype(np.int64) - (self.old != self.truth))

    @property
    def waiting(self) -> Bools:
        """Somebody is to look, and has not yet."""
        return np.asarray(self.looked & ~self.known & ~self.late)

    def before(self, which: Bools) -> Bools:
        """The cases before the first of these."""
        return np.asarray(np.cumsum(which) == 0)


@dataclass(frozen=True, slots=True)
class _Routed:
    item_id: int
    name: str
    groups: str | None
    n: int
    rule: int
    route: str
    label: str | None
    p: float
    closed: bool


def gather(
    database: Database, setting: Setting, old: ModelInfo, new: ModelInfo, asks: tuple[Ask | None, Ask], progress: Progress
) -> Ledger:
    """Every case that counts, each model asked where it did not say yet; what the challenger says of arrived cases is kept.

    `asks`: how to ask the old and the new model; None: one that answers elsewhere, of which only what it said counts.
    """
    aside = _aside(database, setting, old, new, asks) if _trained_here(old, new) and asks[0] else []
    progress(0.2, "gathering what arrived since")
    found = list(_arrived(database, setting, old, new, asks, progress))
    return _ledger(setting, old, new, aside, found)


def _trained_here(*models: ModelInfo) -> bool:
    """Whether the test split is known to be new to them: what was brought may have learned from anything."""
    return all(model.datasets for model in models)


def _aside(database: Database, setting: Setting, old: ModelInfo, new: ModelInfo, asks: tuple[Ask | None, Ask]) -> list[Case]:
    held = database.read(examples.base, setting, "test")
    said = [_labels(ask, held.rows) for ask in asks if ask is not None]
    return [
        Case(0, 1.0, 1.0, 1.0, True, True, False, label, before, after, _groups(setting, None, row))
        for row, label, before, after in zip(held.rows, held.labels, *said, strict=True)
    ]


def _labels(ask: Ask, rows: Sequence[Row]) -> list[str | None]:
    return [answer.label if isinstance(answer, Prediction) else None for answer in ask(rows)]


def _arrived(
    database: Database,
    setting: Setting,
    old: ModelInfo,
    new: ModelInfo,
    asks: tuple[Ask | None, Ask],
    progress: Progress,
) -> Iterator[Case]:
    through = database.read(_learned_through, old.id, new.id)
    tested, pinned = _trained_here(old, new), database.read(_pinned, setting)
    rules = database.read(_rules, setting.id)
    after, seen, last = 0 if tested else through, 0, database.read(_last, setting.id)
    while seen < MOST:
        page = database.read(_page, setting.id, after)
        if not page:
            return
        after = page[-1].item_id
        kept = database.read(_new, setting, page, through, pinned)
        yield from _cases(database, setting, (old, new), asks, rules, kept)
        seen += len(kept)
        progress(0.2 + 0.6 * min(after / max(last, 1), 1.0), f"{seen:,} cases that neither learned from")


def _new(session: Session, setting: Setting, page: Sequence[_Routed], through: int, pinned: Set[str]) -> list[_Routed]:
    """Of these cases those that neither model can have learned from: what became gold may have been learned from before."""
    early = [each.item_id for each in page if each.item_id <= through]
    sides = rows.sides(session, setting, early, gold=False) if early else {}
    late = (each for each in page if each.item_id > through or sides[each.item_id] == "test")
    return [each for each in late if each.name not in pinned]


def _learned_through(session: Session, *model_ids: int) -> int:
    """The last item that one of them may have learned from."""
    return max(versions.learned_through(session, each) for each in model_ids)


def _last(session: Session, project_id: int) -> int:
    query = select(Routing.item_id).where(Routing.project_id == project_id).order_by(Routing.item_id.desc()).limit(1)
    return session.scalar(query) or 0


def _pinned(session: Session, setting: Setting) -> set[str]:
    """Ids of rows that came with their labels: a model may have learned from them, whenever they arrived."""
    theirs = (Dataset.project_id == setting.id, Dataset.kind.in_(("base", "imported")))
    ids = session.scalars(select(Dataset.id).where(*theirs, Dataset.replaced_by.is_(None))).all()
    return {row["external_id"] for info in datasets.infos(session, ids) for row in datasets.lines(session, info)}


def _rules(session: Session, project_id: int) -> dict[int, float]:
    """The least chance of a look under each rule; 0 where nothing is checked."""
    query = select(RoutingRule.id, RoutingRule.pi_min).where(RoutingRule.project_id == project_id)
    return dict(session.execute(query).tuples().all())


def _page(session: Session, project_id: int, after: int) -> list[_Routed]:
    """The next cases with their last routing; what failed was predicted by nobody."""
    columns = (Routing.item_id, ItemKey.name, Item.groups, Routing.n, Routing.routing_rule_id, Routing.route, Routing.label)
    query = select(*columns, Routing.p_evidence, ItemKey.closed_at).join(ItemKey, ItemKey.item_id == Routing.item_id)
    other = aliased(Routing)
    newest = select(func.max(other.n)).where(other.item_id == Routing.item_id).scalar_subquery()
    theirs = (Routing.project_id == project_id, Routing.item_id > after, Routing.route != "failed", Routing.n == newest)
    query = query.join(Item, Item.id == Routing.item_id).where(*theirs).order_by(Routing.item_id).limit(CHUNK)
    return [_Routed(*row[:8], closed=row[8] is not None) for row in session.execute(query).tuples()]


def _cases(
    database: Database,
    setting: Setting,
    models: tuple[ModelInfo, ModelInfo],
    asks: tuple[Ask | None, Ask],
    rules: Mapping[int, float],
    page: Sequence[_Routed],
) -> Iterator[Case]:
    ids = [each.item_id for each in page]
    inputs = database.read(_inputs, setting, ids)
    said = [_said(database, setting, model, ask, ids, inputs) for model, ask in zip(models, asks, strict=True)]
    shadows = database.read(_shadows, ids, (models[1].id, models[0].id))
    looks = database.read(_looks, page)
    for each in page:
        if each.item_id not in said[0] or each.item_id not in said[1]:
            continue
        old, new = (held[each.item_id] for held in said)
        look = looks[each.item_id]
        if each.closed and each.route == "review" and look.waits:
            continue  # taken back before anybody answered; what acted alone stays, whether or not a draw hit it
        share, chance, lowest = shadows.get(each.item_id, (0.0, 0.0, 1.0))
        p = 1.0 if each.route == "review" else _either(each.p, chance)
        apart = _either(rules[each.rule], share)
        yield Case(
            item_id=each.item_id,
            p=p,
            least=_either(rules[each.rule], 0.0) or lowest,
            least_apart=apart or lowest,
            looked=look.known or look.waits or look.late,
            known=look.known,
            late=look.late,
            truth=look.truth,
            old=old,
            new=new,
            groups=_groups(setting, each.groups, inputs.get(each.item_id, {})),
        )


def _inputs(session: Session, setting: Setting, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Of those whose content is there still."""
    query = select(Item.id, Item.input).where(bulk.among(session, Item.id, list(ids)), Item.input.is_not(None))
    return {item_id: read_input(setting.project, text) for item_id, text in session.execute(query).tuples()}


def _said(
    database: Database,
    setting: Setting,
    model: ModelInfo,
    ask: Ask | None,
    ids: Sequence[int],
    inputs: Mapping[int, dict[str, Any]],
) -> dict[int, str | None]:
    """What a model says of these items; it is asked where it did not say yet and the content is there, and that is kept."""
    found: dict[int, str | None] = dict(database.read(_predicted, model.id, ids))
    lacking = [item_id for item_id in ids if item_id not in found and item_id in inputs]
    if not lacking or ask is None:
        return found
    answers = ask(database.read(lambda session: blobs.fill(session, [inputs[item_id] for item_id in lacking])))
    given = {item_id: answer for item_id, answer in zip(lacking, answers, strict=True) if isinstance(answer, Prediction)}
    database.write(predictions.keep, setting, {(item_id, model.id): answer for item_id, answer in given.items()})
    return found | {item_id: given[item_id].label if item_id in given else None for item_id in lacking}


def _predicted(session: Session, model_id: int, ids: Sequence[int]) -> dict[int, str]:
    theirs = (PredictionRow.model_id == model_id, bulk.among(session, PredictionRow.item_id, list(ids)))
    return dict(session.execute(select(PredictionRow.item_id, PredictionRow.label).where(*theirs)).tuples().all())


def _shadows(session: Session, ids: Sequence[int], pair: tuple[int, int]) -> dict[int, tuple[float, float, float]]:
    """By item: the share of disagreements of this very pair that people were to look at, where one of the two stood beside the
    other, the chance of a look that all challenges together gave, and the least share of theirs, 1 of none."""
    query = select(Shadow.item_id, Shadow.p, Challenge.share, Challenge.model_id, Challenge.against_id)
    query = query.join(Challenge, Challenge.id == Shadow.challenge_id).where(bulk.among(session, Shadow.item_id, list(ids)))
    found: dict[int, tuple[float, float, float]] = {}
    for item_id, p, share, model_id, against_id in session.execute(query).tuples():
        mine, chance, lowest = found.get(item_id, (0.0, 0.0, 1.0))
        own = share if {model_id, against_id} == set(pair) else 0.0
        found[item_id] = max(mine, own), _either(chance, p), min(lowest, _either(share, 0.0) or 1.0)
    return found


def _either(one: float, other: float) -> float:
    """The chance that one of two draws hits; the same number for the same chances, in whatever order they are put together."""
    return round(1 - (1 - one) * (1 - other), DIGITS)


def _looks(session: Session, page: Sequence[_Routed]) -> dict[int, Look]:
    return looked.looks(session, [Routed(each.item_id, each.n, each.route == "review", each.label) for each in page])


def _groups(setting: Setting, text: str | None, given: Mapping[str, Any]) -> dict[str, str]:
    held = {**given, **json.loads(text or "{}")}
    return {name: str(held[name]) for name in setting.project.input.groups if held.get(name) is not None}


def _ledger(setting: Setting, old: ModelInfo, new: ModelInfo, aside: Sequence[Case], arrived: Sequence[Case]) -> Ledger:
    labels = tuple(dict.fromkeys((*setting.project.labels, *old.labels, *new.labels)))
    places: dict[str | None, int] = {label: n for n, label in enumerate(labels)}
    every = [*aside, *arrived]

    def column(kind: Any, name: str) -> NDArray[Any]:
        return np.array([getattr(each, name) for each in every], dtype=kind)

    def label(name: str, none: int) -> Ints:
        return np.array([places.get(getattr(each, name), none) for each in every], dtype=np.int64)

    known = column(np.bool_, "known")
    return Ledger(
        labels=labels,
        aside=np.arange(len(every)) < len(aside),
        p=column(np.float64, "p"),
        least=column(np.float64, "least"),
        least_apart=column(np.float64, "least_apart"),
        looked=column(np.bool_, "looked"),
        known=known,
        late=column(np.bool_, "late"),
        truth=np.where(known, label("truth", NONE), UNKNOWN),
        old=label("old", SILENT),
        new=label("new", SILENT),
        groups={
            name: np.array([each.groups.get(name) for each in every], dtype=np.object_) for name in setting.project.input.groups
        },
        watermark=every[-1].item_id + 1 if arrived else 0,
    )
