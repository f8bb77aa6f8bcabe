"""What retraining tells its callers: frozen, JSON-ready."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A registered model version. `aliases` are the roles it plays now: champion, previous.

    `name` is what the producer calls a version that answers elsewhere; there are no files of such a one, only a card.
    """

    id: int
    version: int
    trainer: str
    labels: tuple[str, ...]
    datasets: tuple[int, ...]
    figures: Mapping[str, Any]
    sha256: str
    size: int
    made_at: datetime
    aliases: tuple[str, ...]
    name: str | None = None

    @property
    def external(self) -> bool:
        """Whether it answers elsewhere."""
        return self.name is not None

    @property
    def called(self) -> str:
        """The number, and what the producer calls it."""
        return str(self.version) if self.name is None else f"{self.version} ({self.name})"


@dataclass(frozen=True, slots=True)
class ProposalInfo:
    """Somebody wants another model to act. It does once `signers` people have signed.

    `gate_id`: the look at the gate that it rests on. `why`: why it is to act without one.
    """

    id: int
    kind: str
    version: int
    against: int | None
    comparison: Mapping[str, Any] | None
    signers: int
    signed_by: tuple[str, ...]
    state: str
    made_at: datetime
    applied_at: datetime | None
    gate_id: int | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """A dataset version without its manifest, which may list a great many files: a row of a list.

    `effective`: the rows of a plain random sample that would tell as much as its closed ones, where any has a weight.
    `replaced_by`: the version that has all of it but what was erased.
    """

    id: int
    kind: str
    rows: int
    watermark: int | None
    content_hash: str
    made_at: datetime
    effective: float | None = None
    replaced_by: int | None = None


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """A dataset version. kind: base (came with the project), imported (labelled elsewhere), export (what people decided),
    answers (known answers). `replaced_by`: the version that has all of it but what was erased.

    `files`: name -> {"sha256", "size"}; each file is a blob. `manifest` is dataset.json.
    """

    id: int
    kind: str
    rows: int
    watermark: int | None
    content_hash: str
    files: Mapping[str, Mapping[str, Any]]
    manifest: Mapping[str, Any]
    made_at: datetime
    replaced_by: int | None = None
