"""The sampled rows of a file, held against the project that was made of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.loading.items import Rows
from app.loading.media import Media
from app.starting.reading import Table
from contract.project import Project
from contract.records import Row
from review_queue import intake
from review_queue.intake import Submission


@dataclass(frozen=True, slots=True)
class Taken:
    """One sound row: as an item, what the model sees of it, and its label where it has one."""

    submission: Submission
    label: str | None
    held_out: bool

    @property
    def external_id(self) -> str:
        return self.submission.external_id

    @property
    def input(self) -> dict[str, Any]:
        """What the model sees, images by their blobs."""
        return dict(json.loads(self.submission.input))


@dataclass(frozen=True, slots=True)
class Sampled:
    """Sound rows in the order of the file, the bytes that they name, and what was wrong with the others."""

    rows: tuple[Taken, ...]
    files: Mapping[str, tuple[bytes, str]]
    rejected: tuple[str, ...]

    def learned(self) -> list[Taken]:
        """Labelled rows to learn from."""
        return [row for row in self.rows if row.label is not None and not row.held_out]

    def held(self) -> list[Taken]:
        """Labelled rows that were held out."""
        return [row for row in self.rows if row.label is not None and row.held_out]

    def inputs(self, rows: Iterable[Taken]) -> tuple[Row, ...]:
        """Rows as a Predictor takes them: images as bytes."""
        return tuple({name: self._filled(value) for name, value in row.input.items()} for row in rows)

    def _filled(self, value: Any) -> Any:
        return self.files[value["blob"].removeprefix("sha256:")][0] if isinstance(value, Mapping) else value


def sampled(table: Table, project: Project, labels: Sequence[str | None], held_out: Iterable[bool]) -> Sampled:
    """Every sampled row that the project takes; an id that comes twice counts once."""
    reader, media = Rows(table.source, project), Media(table.source.folder)
    rows: dict[str, Taken] = {}
    rejected: list[str] = []
    for found, label, held in zip(table.rows, labels, held_out, strict=True):
        try:
            item, _ = reader.item(found, media)
            submission = intake.check(project, item)
            if submission.external_id in rows:
                raise ValueError(f"the id {submission.external_id!r} came before")
        except ValueError as error:
            rejected.append(f"row {found.place}: {error}")
            continue
        rows[submission.external_id] = Taken(submission, label, held)
    return Sampled(tuple(rows.values()), dict(media.held), tuple(rejected))
