"""Labelled examples for training and judging: the rows that came with the project, and those that people answered."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from contract.inputs import read_input, under_both_names
from contract.project import Project
from contract.records import Row
from db import blobs, bulk
from db.engine import Database
from db.tables import Item, ItemKey
from retrain import datasets, rows
from retrain.records import DatasetInfo
from review_queue.projects import Setting


@dataclass(frozen=True, slots=True)
class Examples:
    """Inputs as a Predictor takes them (images as bytes), with their labels. `weights` is None for an open row."""

    rows: tuple[Row, ...]
    labels: tuple[str, ...]
    weights: tuple[float | None, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __add__(self, other: "Examples") -> "Examples":
        return Examples(self.rows + other.rows, self.labels + other.labels, self.weights + other.weights)


def base(session: Session, setting: Setting, split: str) -> Examples:
    """What came with the project, of one split."""
    held = [row for row in _base(session, setting) if row["split"] == split]
    given = [under_both_names(setting.project, row["input"]) for row in held]
    return _examples(session, given, [row["label"] for row in held], [None] * len(held))


def decided(database: Database, setting: Setting, watermark: int, split: str) -> Examples:
    """What people answered by a watermark, of one split; rejected items have no label and are left out.

    An item that came with the project too is of the split that it has there.
    """
    there = database.read(_splits, setting)
    ids, labels, weights = list[int](), list[str](), list[float | None]()
    for each in rows.stream(database, setting, watermark):
        row = each.cells
        if there.get(row["external_id"], row["split"]) == split and row["label"] in setting.project.labels:
            ids.append(each.item_id)
            labels.append(row["label"])
            weights.append(row["weight"])
    return database.read(_of_items, setting.project, ids, labels, weights)


def known(database: Database, setting: Setting, watermark: int) -> Examples:
    """Items whose answers are known (a demo, a benchmark) and that no training run has learned from."""
    answers = database.read(_known_answers, setting.id)
    if not answers:
        return Examples((), (), ())
    for each in rows.stream(database, setting, watermark):
        if each.cells["split"] == "train":
            answers.pop(each.cells["external_id"], None)
    return database.read(_answered, setting, answers)


def judges(session: Session, setting: Setting) -> Examples:
    """Rows that no model learns from and that are like the traffic: the test split of what came with the project, and of the
    items whose answers are known, whether or not people decided them."""
    answers, there = _known_answers(session, setting.id), _splits(session, setting)
    wanted = [i for i in answers if i not in there and rows.split_of(setting.name, i) == "test"]
    return base(session, setting, "test") + _answered(session, setting, {i: answers[i] for i in wanted})


def sources(database: Database, setting: Setting) -> tuple[list[DatasetInfo], int]:
    """The datasets that a training run rests on (the base, and the newest export), and the watermark of the labels.

    Labels that are in no export yet are exported first, so that every model names what it learned from.
    """
    watermark = datasets.latest(database, setting.id)
    given = database.read(datasets.newest, setting.id, "base")
    used = [given] if given is not None else []
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


def _answered(session: Session, setting: Setting, answers: Mapping[str, str]) -> Examples:
    """Arrived items with the answers that are known of them, by external id."""
    names, found = list(answers), dict[int, str]()
    for begin in range(0, len(names), rows.CHUNK):
        named = bulk.among(session, ItemKey.external_id, names[begin : begin + rows.CHUNK])
        query = select(ItemKey.item_id, ItemKey.external_id).where(ItemKey.project_id == setting.id, named)
        found.update(session.execute(query).tuples().all())
    ids = sorted(found)
    return _of_items(session, setting.project, ids, [answers[found[item_id]] for item_id in ids], [None] * len(ids))


def _of_items(
    session: Session, project: Project, ids: Sequence[int], labels: Sequence[str], weights: Sequence[float | None]
) -> Examples:
    inputs = dict(_inputs(session, project, ids))
    return _examples(session, [inputs[item_id] for item_id in ids], labels, weights)


def _examples(session: Session, given: Sequence[Any], labels: Sequence[str], weights: Sequence[float | None]) -> Examples:
    return Examples(tuple(blobs.fill(session, given)), tuple(labels), tuple(weights))


def _inputs(session: Session, project: Project, item_ids: Sequence[int]) -> Iterator[tuple[int, Any]]:
    for begin in range(0, len(item_ids), rows.CHUNK):
        chunk = list(item_ids[begin : begin + rows.CHUNK])
        query = select(Item.id, Item.input).where(bulk.among(session, Item.id, chunk))
        for item_id, text in session.execute(query):
            yield item_id, read_input(project, text)
