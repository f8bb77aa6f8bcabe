"""Labelled rows of a file or folder as the base dataset of a project: what the first model learns from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app.loading.columns import check_label
from app.loading.errors import LoadError
from app.loading.items import Rows
from app.loading.labels import Labels
from app.loading.loader import NAMED
from app.loading.media import BATCH_BYTES, Media
from app.loading.rejected import Rejected
from app.loading.sources import Found, Progress, Source, source_of
from app.workspace import Workspace
from contract.canonical import content_hash
from contract.inputs import InputError, check_external_id, check_input
from contract.project import Project
from db import blobs
from retrain import datasets
from retrain.records import DatasetInfo
from retrain.rows import side
from review_queue import activity
from review_queue.activity import Actor
from review_queue.intake import hash_subject
from review_queue.projects import Setting


@dataclass(frozen=True, slots=True)
class Labelled:
    """What became of labelled rows. `labels`: rows of each; `new`: False where the same rows were kept before; `said`: how
    the file is written."""

    dataset_id: int
    rows: int
    labels: Mapping[str, int]
    new: bool
    repeated: int
    rejected: int
    rejected_file: Path | None
    left_out: tuple[str, ...] = ()
    said: str = ""


def keep_labelled(
    workspace: Workspace,
    setting: Setting,
    path: Path,
    label: str | None = None,
    *,
    kind: str = "base",
    progress: Progress | None = None,
    by: Actor | None = None,
) -> Labelled:
    """Keep every sound row as the project's base dataset, in place of an earlier one, or as that of another kind. The same rows
    again change nothing.

    `label` names the column of the labels; in a folder of images, the folders within it do. Raises LoadError where no
    model can learn from what is there.
    """
    source = _source(path, setting.project, label)
    with Rejected(path, workspace.settings.dir) as rejected:
        reader = _Reader(workspace, setting, source, rejected)
        for found in source.rows(progress):
            reader.take(found)
        reader.require_something_to_learn()
        given = reader.rows if kind == "base" else [{**row, "basis": kind} for row in reader.rows]
        info, new = workspace.database.write(keep, setting, kind, given, reader.media.files, file=path.name, by=by)
        left_out = tuple(sorted(reader.left_out - {label}))[:NAMED]
        counts = reader.labels()
        return Labelled(info.id, info.rows, counts, new, reader.repeated, rejected.count, rejected.file, left_out, source.said)


def _source(path: Path, project: Project, label: str | None) -> Source:
    if label is not None and path.is_dir():
        raise LoadError(f"{path} is a folder: the folders within it name the labels; leave --label out")
    if label is not None:
        check_label(project, label)
    source = source_of(path, project, label)
    if label is None and not path.is_dir():
        raise LoadError(f"which column of {path} holds the labels? Name it with --label")
    return source


class _Reader:
    """Rows into labelled rows; their bytes are stored as they come, the rows all at once."""

    def __init__(self, workspace: Workspace, setting: Setting, source: Source, rejected: Rejected) -> None:
        self._workspace, self._setting, self._source, self._rejected = workspace, setting, source, rejected
        self._project = setting.project
        self._rows = Rows(source, setting.project)
        self._seen: dict[str, tuple[int | str, str]] = {}
        self._labels = Labels(source, setting.project)
        self.media = Media(source.folder)
        self.rows: list[dict[str, Any]] = []
        self.repeated = 0
        self.left_out: set[str] = set()

    def take(self, found: Found) -> None:
        """One row: kept, or told why not."""
        try:
            if found.problem is not None:
                raise ValueError(found.problem)
            row = self._row(found, self._labels.of(found))
            if self._is_new(found, row):
                self.rows.append(row)
        except ValueError as error:
            self._rejected.add(found, str(error))
        if self.media.size >= BATCH_BYTES:
            self._workspace.database.write(store, self.media.files)
            self.media.clear()

    def labels(self) -> dict[str, int]:
        """Rows of each label, in the project's order."""
        counts = Counter(row["label"] for row in self.rows)
        return {label: counts[label] for label in self._project.labels if counts[label]}

    def require_something_to_learn(self) -> None:
        """Raises LoadError where two labels are not there, or only among the rows that are kept to judge models."""
        path, labels = self._source.path, self.labels()
        if not self.rows:
            raise self._labels.nothing(self._rejected.file)
        if len(labels) == 1:
            raise LoadError(f"every row of {path} is labelled {next(iter(labels))!r}; a model needs at least two labels")
        learned = {row["label"] for row in self.rows if row["split"] == "train"}
        if len(learned) < 2:
            raise LoadError(
                f"{path} has too few rows ({len(self.rows)}): about a third is kept to judge models, and the rest has "
                f"less than two labels; bring more rows"
            )

    def _row(self, found: Found, label: str) -> dict[str, Any]:
        """A row as a base dataset has it. Raises InputError."""
        scored, left_out = self._rows.scored(found, self.media)
        external_id = check_external_id(scored["external_id"])
        given = check_input(self._project, scored["input"])
        self._require_bytes(given)
        if len(self.left_out) < NAMED:
            self.left_out |= left_out
        hashed = hash_subject(self._project, self._rows.subject(found))
        split = side(self._setting, external_id, hashed, given, None)
        return {"external_id": external_id, "input": given, "label": label, "split": split}

    def _require_bytes(self, given: Mapping[str, Any]) -> None:
        """Raises InputError where an image is named by a hash that neither this file nor the store has bytes of."""
        for name, value in given.items():
            sha = value["blob"].removeprefix("sha256:") if isinstance(value, Mapping) else None
            if sha and sha not in self.media.held and self._workspace.database.read(blobs.get, sha) is None:
                raise InputError(f"input.{name}", f"the bytes of sha256:{sha} are not in the store; name the file of the image")

    def _is_new(self, found: Found, row: Mapping[str, Any]) -> bool:
        """False where the very row came before. Raises InputError where its id came with something else."""
        hashed = content_hash(row)
        place, known = self._seen.setdefault(row["external_id"], (found.place, hashed))
        if place == found.place:
            return True
        if known != hashed:
            named = f"{row['external_id']!r} came with another input or label before, at {place}"
            raise InputError("external_id", f"{named}; keep the right one")
        self.repeated += 1
        return False


def store(session: Session, files: Sequence[tuple[bytes, str]]) -> None:
    """Keep images and files, with their types."""
    for data, media_type in files:
        blobs.put(session, data, media_type)


def keep(
    session: Session,
    setting: Setting,
    kind: str,
    rows: Sequence[Mapping[str, Any]],
    files: Sequence[tuple[bytes, str]],
    *,
    file: str,
    by: Actor | None,
) -> tuple[DatasetInfo, bool]:
    """The dataset of these rows, of the kind base or imported, and whether it is a new one; `files`: their images, with types."""
    store(session, files)
    before = [each.id for each in datasets.versions(session, setting.id, kind=kind) if each.replaced_by is None]
    add = datasets.add_base if kind == "base" else datasets.add_imported
    info = add(session, setting, rows, by=by)
    if info.id in before[1:]:
        raise LoadError(
            f"these rows are dataset {info.id} already, which dataset {before[0]} replaced, and training takes the newest; "
            f"add or leave out a row to make them a new one"
        )
    if info.id not in before:
        note = {"file": file, "rows": info.rows}
        activity.record(session, by, f"dataset.{kind}", f"dataset:{info.id}", project_id=setting.id, after=note)
    return info, info.id not in before
