"""Labelled examples for training and judging: the rows that came with the project, and those that people answered."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from contract.inputs import read_input, under_both_names
from contract.project import Project
from contract.records import Row
from db import blobs, bulk
from db.engine import Database
from db.tables import Dataset, Item, ItemKey
from retrain import datasets, rows
from retrain.records import DatasetInfo
from review_queue.errors import NotFound, Refused
from review_queue.projects import Setting


@dataclass(frozen=True, slots=True)
class Examples:
    """Inputs as a Predictor takes them (images as bytes), with their labels. `weights` is None for an open row.

    Where they are known: `groups`, the values of the project's groups, and `arrived`, whether a row is an item that arrived.
    """

    rows: tuple[Row, ...]
    labels: tuple[str, ...]
    weights: tuple[float | None, ...]
    groups: tuple[Mapping[str, str], ...] = ()
    arrived: tuple[bool, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __add__(self, other: "Examples") -> "Examples":
        return Examples(
            self.rows + other.rows,
            self.labels + other.labels,
            self.weights + other.weights,
            self._groups + other._groups,
            self._arrived + other._arrived,
        )

    def pick(self, places: Sequence[int]) -> "Examples":
        """Some of the rows, in the order given."""
        groups, arrived = self._groups, self._arrived
        return Examples(
            tuple(self.rows[place] for place in places),
            tuple(self.labels[place] for place in places),
            tuple(self.weights[place] for place in places),
            tuple(groups[place] for place in places),
            tuple(arrived[place] for place in places),
        )

    @property
    def _groups(self) -> tuple[Mapping[str, str], ...]:
        return self.groups or ({},) * len(self)

    @property
    def _arrived(self) -> tuple[bool, ...]:
        return self.arrived or (False,) * len(self)


Truths = Literal["decided", "true"]
"""What a row is labelled with: what people decided, or what later proved true where that is known."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a training learns from, and the datasets in which it stands. `counts`: rows by where they come from.

    `held`: what people answered of the test split. `learned_through`: the highest id of an item that is learned from, by its
    answer or by a row of the same id that came with the project or was imported; 0 where none is.
    """

    examples: Examples
    held: Examples
    counts: Mapping[str, int]
    datasets: tuple[DatasetInfo, ...]
    watermark: int
    learned_through: int


def lesson(database: Database, setting: Setting, dataset: int | None = None, labels: Truths = "decided") -> Lesson:
    """All labelled rows of the training split, or those of one dataset version; of an export with what had come with the project,
    or been imported, when it was made. A version that was made anew without erased items stands for the old one.

    Raises NotFound; Refused for known answers, which are no dataset to learn from.
    """
    info = database.read(_standing, setting.id, dataset) if dataset is not None else None
    if info is not None and info.kind == "answers":
        raise Refused(f"dataset {info.id} holds known answers, which play the operator; a model learns from what was decided")
    if info is None:
        used, watermark = sources(database, setting)
    elif info.kind == "export":
        used, watermark = [*database.read(_given, setting.id, info.made_at), info], int(info.watermark or 0)
    else:
        used, watermark = [info], 0
    known = [(each.kind, database.read(_lines, setting, each, "train")) for each in used if each.kind != "export"]
    said = _said(database, setting, watermark, labels) if watermark else {"train": [], "test": []}
    decided, test = (database.read(_of_items, setting.project, said[split]) for split in ("train", "test"))
    counts = {"base": 0} | dict(Counter(kind for kind, held in known for _ in held.rows)) | {"decided": len(decided)}
    both = sum((held for _, held in known), Examples((), (), ())) + decided
    highest = max(database.read(_arrived_last, setting, used), *(each.item_id for each in said["train"]), 0)
    return Lesson(both, test, counts, tuple(used), watermark, highest)


def base(session: Session, setting: Setting, split: str) -> Examples:
    """What came with the project, of one split."""
    info = datasets.newest(session, setting.id, "base")
    return _lines(session, setting, info, split) if info is not None else Examples((), (), ())


def decided(database: Database, setting: Setting, watermark: int, split: str) -> Examples:
    """What people answered by a watermark, of one split; rejected items have no label and are left out.

    An item that came with the project too is of the split that it has there.
    """
    return database.read(_of_items, setting.project, _said(database, setting, watermark, "decided")[split])


def known(database: Database, setting: Setting, watermark: int) -> Examples:
    """Items whose answers are known (a demo, a benchmark) and that no training run has learned from."""
    answers = database.read(_known_answers, setting.id)
    if not answers:
        return Examples((), (), ())
    for name in database.read(_learned, setting):
        answers.pop(name, None)
    for each in rows.stream(database, setting, watermark):
        if each.cells["split"] == "train":
            answers.pop(each.cells["external_id"], None)
    return database.read(_answered, setting, answers)


def judges(session: Session, setting: Setting) -> Examples:
    """Rows that no model learns from and that are like the traffic: the test split of what came with the project, and of the
    items whose answers are known, whether or not people decided them."""
    answers, there = _known_answers(session, setting.id), _splits(session, setting)
    wanted = {name: label for name, label in answers.items() if name not in there}
    return base(session, setting, "test") + _answered(session, setting, wanted, judging=True)


def sources(database: Database, setting: Setting) -> tuple[list[DatasetInfo], int]:
    """The datasets that a training run rests on (the newest base, import and export), and the watermark of the labels.

    Labels that are in no export yet are exported first, so that every model names what it learned from.
    """
    watermark = datasets.latest(database, setting.id)
    used = database.read(_given, setting.id, None)
    if watermark:
        used.append(datasets.export_at(database, setting, watermark, format="parquet", by=None))
    return used, watermark


def _base(session: Session, setting: Setting) -> Iterator[dict[str, Any]]:
    newest = datasets.newest(session, setting.id, "base")
    return datasets.lines(session, newest) if newest else iter(())


def _splits(session: Session, setting: Setting) -> dict[str, str]:
    """The split of each row that came with the project, by external id."""
    return {row["external_id"]: row["split"] for row in _base(session, setting)}


def _known_answers(session: Session, project_id: int) -> dict[str, str]:
    info = datasets.known_answers(session, project_id)
    return {row["external_id"]: row["label"] for row in datasets.lines(session, info)} if info else {}


def _answered(session: Session, setting: Setting, answers: Mapping[str, str], *, judging: bool = False) -> Examples:
    """Arrived items with the answers that are known of them, by external id; `judging`: those of the test split alone."""
    found = dict[int, str]()
    for some in _arrived(session, setting, list(answers)):
        sides = rows.sides(session, setting, list(some), gold=False) if judging else {}
        found.update({item_id: name for item_id, name in some.items() if not judging or sides[item_id] == "test"})
    said = [_Said(item_id, answers[found[item_id]], None, {}) for item_id in sorted(found)]
    return _of_items(session, setting.project, said)


def _learned(session: Session, setting: Setting, used: Sequence[DatasetInfo] | None = None) -> set[str]:
    """The ids of rows of the training split that came with the project or were imported; of these datasets, or of all."""
    given = _given(session, setting.id, None) if used is None else [each for each in used if each.kind != "export"]
    return {row["external_id"] for info in given for row in datasets.lines(session, info) if row["split"] == "train"}


def _arrived_last(session: Session, setting: Setting, used: Sequence[DatasetInfo]) -> int:
    """The highest id of an item of which a row stands in these datasets to be learned from; 0 where there is none."""
    return max((max(some) for some in _arrived(session, setting, sorted(_learned(session, setting, used)))), default=0)


def _judging(session: Session, setting: Setting, names: Sequence[str]) -> set[str]:
    """Of these ids those that judge models, by the row that came with the project, or by an item that arrived under them."""
    there = _splits(session, setting)
    found = {name for name in names if there.get(name) == "test"}
    for some in _arrived(session, setting, names):
        sides = rows.sides(session, setting, list(some))
        found |= {name for item_id, name in some.items() if there.get(name, sides[item_id]) == "test"}
    return found


def _arrived(session: Session, setting: Setting, names: Sequence[str]) -> Iterator[dict[int, str]]:
    """The standing items of these ids, by their number, a part at a time."""
    for begin in range(0, len(names), rows.CHUNK):
        named = bulk.among(session, ItemKey.external_id, names[begin : begin + rows.CHUNK])
        query = select(ItemKey.item_id, ItemKey.external_id).where(ItemKey.project_id == setting.id, named)
        if some := dict(session.execute(query).tuples().all()):
            yield some


def _given(session: Session, project_id: int, at: datetime | None) -> list[DatasetInfo]:
    """The newest of what came with the project and of what was imported, oldest first; by a moment, where one is given."""
    theirs = (Dataset.project_id == project_id, Dataset.replaced_by.is_(None), Dataset.kind.in_(("base", "imported")))
    query = select(Dataset.kind, Dataset.id).where(*theirs).order_by(Dataset.made_at, Dataset.id)
    found = session.execute(query if at is None else query.where(Dataset.made_at <= at)).tuples().all()
    newest = dict(found)
    return [datasets.dataset(session, id_) for kind, id_ in found if newest[kind] == id_]


def _standing(session: Session, project_id: int, dataset_id: int) -> DatasetInfo:
    """A dataset version of a project, or the one that replaces it. Raises NotFound."""
    row = session.get(Dataset, dataset_id)
    while row is not None and row.replaced_by is not None:
        row = session.get_one(Dataset, row.replaced_by)
    if row is None or row.project_id != project_id:
        raise NotFound(f"there is no dataset {dataset_id} in this project; `signoff dataset list` shows them")
    return datasets.dataset(session, row.id)


def _lines(session: Session, setting: Setting, info: DatasetInfo, split: str) -> Examples:
    """Rows of a dataset that is kept as lines, of one split. Rows that were imported without a label are left out, and those
    that were imported of a case that judges models are not learned from."""
    labels, groups = setting.project.labels, setting.project.input.groups
    held = [row for row in datasets.lines(session, info) if row["split"] == split and row["label"] in labels]
    if info.kind == "imported" and split == "train":
        judging = _judging(session, setting, [row["external_id"] for row in held])
        held = [row for row in held if row["external_id"] not in judging]
    given = [under_both_names(setting.project, row["input"]) for row in held]
    return Examples(
        tuple(blobs.fill(session, given)),
        tuple(row["label"] for row in held),
        (None,) * len(held),
        tuple(_named(groups, each) for each in given),
    )


def _said(database: Database, setting: Setting, watermark: int, labels: Truths) -> dict[str, list["_Said"]]:
    """What people answered by a watermark, by split."""
    there, groups = database.read(_splits, setting), setting.project.input.groups
    said: dict[str, list[_Said]] = {"train": [], "test": []}
    for each in rows.stream(database, setting, watermark):
        row = each.cells
        true = row["true_label"] if labels == "true" else None
        label = true if true is not None else row["label"]
        if label in setting.project.labels:
            named = _named(groups, {name: row[rows.column(name)] for name in groups})
            held = _Said(each.item_id, label, row["weight"], named)
            said[there.get(row["external_id"], row["split"])].append(held)
    return said


@dataclass(frozen=True, slots=True)
class _Said:
    """An item with its label, its weight and its groups."""

    item_id: int
    label: str
    weight: float | None
    groups: Mapping[str, str]


def _named(groups: Iterable[str], values: Mapping[str, Any]) -> dict[str, str]:
    """The groups of a row as texts, as far as they are known."""
    return {name: str(values[name]) for name in groups if values.get(name) is not None}


def _of_items(session: Session, project: Project, said: Sequence[_Said]) -> Examples:
    """Items with their inputs; what was erased is left out."""
    inputs = dict(_inputs(session, project, [each.item_id for each in said]))
    kept = [each for each in said if each.item_id in inputs]
    return Examples(
        tuple(blobs.fill(session, [inputs[each.item_id] for each in kept])),
        tuple(each.label for each in kept),
        tuple(each.weight for each in kept),
        tuple(each.groups for each in kept),
        (True,) * len(kept),
    )


def _inputs(session: Session, project: Project, item_ids: Sequence[int]) -> Iterator[tuple[int, Any]]:
    for begin in range(0, len(item_ids), rows.CHUNK):
        chunk = list(item_ids[begin : begin + rows.CHUNK])
        query = select(Item.id, Item.input).where(bulk.among(session, Item.id, chunk), Item.input.is_not(None))
        for item_id, text in session.execute(query):
            yield item_id, read_input(project, text)
