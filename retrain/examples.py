"""Labelled examples for training and judging: the rows that came with the project, and those that people answered."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from contract.inputs import read_input, under_both_names
from contract.project import Project
from contract.records import Row
from db import blobs
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


def decided(session: Session, setting: Setting, watermark: int, split: str) -> Examples:
    """What people answered by a watermark, of one split; rejected items have no label and are left out.

    An item that came with the project too is of the split that it has there.
    """
    table = rows.gather(session, setting, watermark)
    there = {row["external_id"]: row["split"] for row in _base(session, setting)}
    pairs = zip(table.item_ids, table.rows, strict=True)
    kept = [(i, row) for i, row in pairs if there.get(row["external_id"], row["split"]) == split]
    kept = [(item_id, row) for item_id, row in kept if row["label"] in setting.project.labels]
    inputs = dict(_inputs(session, setting.project, [item_id for item_id, _ in kept]))
    given = [inputs[item_id] for item_id, _ in kept]
    return _examples(session, given, [row["label"] for _, row in kept], [row["weight"] for _, row in kept])


def known(session: Session, setting: Setting, watermark: int) -> Examples:
    """Items whose answers are known (a demo, a benchmark) and that no training run has learned from."""
    info = datasets.known_answers(session, setting.id)
    if info is None:
        return Examples((), (), ())
    learned = {row["external_id"] for row in rows.gather(session, setting, watermark).rows if row["split"] == "train"}
    answers = {row["external_id"]: row["label"] for row in datasets.lines(session, info)}
    return _answered(session, setting, {i: label for i, label in answers.items() if i not in learned})


def judges(session: Session, setting: Setting) -> Examples:
    """Rows that no model learns from and that are like the traffic: the test split of what came with the project, and of the
    items whose answers are known, whether or not people decided them."""
    info = datasets.known_answers(session, setting.id)
    answers = {row["external_id"]: row["label"] for row in datasets.lines(session, info)} if info else {}
    there = {row["external_id"] for row in _base(session, setting)}
    wanted = [i for i in answers if i not in there and rows.split_of(setting.name, i) == "test"]
    return base(session, setting, "test") + _answered(session, setting, {i: answers[i] for i in wanted})


def sources(session: Session, setting: Setting) -> tuple[list[DatasetInfo], int]:
    """The datasets that a training run rests on (the base, and the newest export), and the watermark of the labels.

    Labels that are in no export yet are exported first, so that every model names what it learned from.
    """
    watermark = rows.latest(session, setting.id)
    given = datasets.newest(session, setting.id, "base")
    used = [given] if given is not None else []
    if rows.gather(session, setting, watermark).rows:
        used.append(datasets.export_at(session, setting, watermark, format="parquet", by=None))
    return used, watermark


def _base(session: Session, setting: Setting) -> Iterator[dict[str, Any]]:
    newest = datasets.newest(session, setting.id, "base")
    return datasets.lines(session, newest) if newest else iter(())


def _answered(session: Session, setting: Setting, answers: Mapping[str, str]) -> Examples:
    """Arrived items with the answers that are known of them, by external id."""
    query = select(ItemKey.external_id, ItemKey.item_id).where(ItemKey.project_id == setting.id).order_by(ItemKey.item_id)
    kept = [(i, answers[e]) for e, i in session.execute(query) if e in answers]
    inputs = dict(_inputs(session, setting.project, [item_id for item_id, _ in kept]))
    return _examples(session, [inputs[i] for i, _ in kept], [label for _, label in kept], [None] * len(kept))


def _examples(session: Session, given: Sequence[Any], labels: Sequence[str], weights: Sequence[float | None]) -> Examples:
    return Examples(tuple(blobs.fill(session, given)), tuple(labels), tuple(weights))


def _inputs(session: Session, project: Project, item_ids: Sequence[int]) -> Iterator[tuple[int, Any]]:
    for begin in range(0, len(item_ids), rows.CHUNK):
        query = select(Item.id, Item.input).where(Item.id.in_(item_ids[begin : begin + rows.CHUNK]))
        for item_id, text in session.execute(query):
            yield item_id, read_input(project, text)
