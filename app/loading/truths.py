"""Rows of a file as what later proved true of items, a batch a transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.loading.errors import LoadError
from app.loading.items import read_cell
from app.loading.labels import label_in, plain_label
from app.loading.rejected import Rejected
from app.loading.sources import Found, Progress, source_of
from app.workspace import Workspace
from contract.files import nearest
from contract.inputs import InputError
from contract.project import Project
from review_queue import truths
from review_queue.activity import Actor
from review_queue.projects import Setting
from review_queue.truths import Told

BATCH = 1_000
"""Rows of one transaction."""
NAMED = 20
"""Conflicts that are named."""


@dataclass(frozen=True, slots=True)
class TruthsTold:
    """What became of the rows. `conflicts`: how many rows met another label, of which `named` says the first; `said`: how the
    file is written."""

    kept: int
    known: int
    conflicts: int
    rejected: int
    rejected_file: Path | None
    named: tuple[str, ...] = ()
    said: str = ""


def tell(
    workspace: Workspace,
    setting: Setting,
    path: Path,
    *,
    label: str = "label",
    at: str | None = None,
    source: str | None = None,
    progress: Progress | None = None,
    by: Actor | None = None,
) -> TruthsTold:
    """Keep every sound row of a CSV, JSON lines or Parquet file; telling it again adds nothing, so one that was cut off goes on.

    `label` and `at` name the columns of the label and of its date, `source` is what all rows were seen by. Raises LoadError
    where nothing of the file can be read, or a column is not in it.
    """
    if path.is_dir():
        raise LoadError(f"{path} is a folder; give a file with a row for each {setting.project.noun}")
    found = source_of(path, None, label)
    with Rejected(path, workspace.settings.dir) as rejected:
        teller = _Teller(workspace, setting, _Columns(setting.project, label, at, source), rejected, by)
        for row in found.rows(progress):
            teller.take(row, text=found.text)
        teller.flush()
        counts = (teller.kept, teller.known, teller.conflicts, rejected.count, rejected.file)
        return TruthsTold(*counts, tuple(teller.named), found.said)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where a row says what."""

    project: Project
    label: str
    at: str | None
    source: str | None

    def told(self, values: Mapping[str, Any], *, text: bool) -> Told:
        """A row as Told. Raises InputError."""
        label = plain_label(label_in(values.get(self.label)))
        if not label:
            raise InputError(self.label, "holds nothing; leave a row out until its label is known")
        raw = {"external_id": self._id(values, text=text), "label": label, "source": self.source}
        return truths.check(self.project, {**raw, "known_at": self._at(values, text=text)})

    def _id(self, values: Mapping[str, Any], *, text: bool) -> Any:
        return read_cell("category", values.get(self.id_in(values)), text=text)

    def _at(self, values: Mapping[str, Any], *, text: bool) -> Any:
        name = self.at or ("known_at" if "known_at" in values else None)
        value = read_cell("date", values.get(name), text=text) if name is not None else None
        if self.at is not None and value is None:
            raise InputError(self.at, "holds no date; write when it turned out")
        return value

    def id_in(self, values: Mapping[str, Any]) -> str:
        """The column of the ids."""
        own = self.project.input.id
        return own if own is not None and own in values else "external_id"

    def require(self, path: str, values: Mapping[str, Any]) -> None:
        """Raises LoadError where the first row lacks a column."""
        wanted = (self.id_in(values), self.label, *([self.at] if self.at else []))
        for name in wanted:
            if name not in values:
                own = self.project.input.id or name
                named = own if name == "external_id" else name
                raise LoadError(f"{path} has no column {named!r}{nearest(named, values)}")


@dataclass(slots=True)
class _Teller:
    """Rows into truths; each batch is written at once."""

    workspace: Workspace
    setting: Setting
    columns: _Columns
    rejected: Rejected
    by: Actor | None
    kept: int = 0
    known: int = 0
    conflicts: int = 0
    named: list[str] = field(default_factory=list)
    _begun: bool = False
    _batch: list[tuple[Found, Told]] = field(default_factory=list)

    def take(self, row: Found, *, text: bool) -> None:
        """One row: kept with its batch, or told why not."""
        try:
            if row.problem is not None:
                raise ValueError(row.problem)
            if not self._begun:
                self.columns.require(str(self.rejected.input), row.values)
                self._begun = True
            self._batch.append((row, self.columns.told(row.values, text=text)))
        except LoadError:
            raise
        except ValueError as error:
            self.rejected.add(row, str(error))
        if len(self._batch) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what was taken."""
        batch, self._batch = self._batch, []
        if batch:
            told = [each for _, each in batch]
            receipts = self.workspace.database.write(truths.keep, self.setting, told, by=self.by)
            self._count([row for row, _ in batch], receipts)

    def _count(self, rows: Sequence[Found], receipts: Sequence[truths.Receipt]) -> None:
        for row, receipt in zip(rows, receipts, strict=True):
            self.kept += receipt.state == "kept"
            self.known += receipt.state == "known"
            if receipt.state == "invalid":
                self.rejected.add(row, receipt.problem or receipt.state)
            elif receipt.conflict is not None:
                self._conflict(receipt)

    def _conflict(self, receipt: truths.Receipt) -> None:
        self.conflicts += 1
        if len(self.named) < NAMED:
            self.named.append(f"{receipt.external_id}: {receipt.conflict}")
