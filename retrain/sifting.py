"""A dataset version without some of its rows: the same files, read, sifted and written again."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.canonical import canonical
from retrain import files
from retrain.files import Written
from retrain.formats import layouts, tables
from retrain.formats.label_studio import CONFIG
from retrain.records import DatasetInfo

PART = 16 * 2**20
"""Characters of one part of the rows that came with a project."""
Open = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Gone:
    """The items whose rows go: their ids and revisions."""

    named: frozenset[tuple[str, int]]

    def has(self, row: Mapping[str, Any]) -> bool:
        """Whether a row is one of theirs; one that came with labels has no revision, and goes by its id alone."""
        if "item_revision" in row:
            return (row["external_id"], int(row["item_revision"])) in self.named
        return any(name == row["external_id"] for name, _ in self.named)


@dataclass(slots=True)
class Sifted:
    """What is left: the manifest but for its files, the names of new files in the folder, and what the manifest says of old ones
    that stay.

    `card`: whether the version has a card.
    """

    manifest: dict[str, Any]
    erased: int = 0
    names: list[str] = field(default_factory=list)
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    card: bool = False


def sift(old: DatasetInfo, open: Open, gone: Gone, folder: Path) -> Sifted:
    """Write a version into a folder without the rows of these items. `open` gives the bytes of one of its files."""
    sifted = Sifted({name: value for name, value in old.manifest.items() if name != "files"})
    (_sift_export if old.kind == "export" else _sift_lines)(old, open, gone, folder, sifted)
    sifted.manifest |= {"replaces": old.content_hash, "erased": old.manifest.get("erased", 0) + sifted.erased}
    return sifted


def parts(texts: Sequence[str]) -> Iterator[str]:
    """Lines in texts of about PART characters."""
    part: list[str] = []
    size = 0
    for text in texts:
        part.append(text)
        size += len(text)
        if size > PART:
            yield "\n".join(part) + "\n"
            part, size = [], 0
    if part:
        yield "\n".join(part) + "\n"


def _sift_lines(old: DatasetInfo, open: Open, gone: Gone, folder: Path, sifted: Sifted) -> None:
    ids = {name for name, _ in gone.named}
    left = []
    for name in sorted(old.files):
        for line in open(name).decode().split("\n")[:-1]:
            row = json.loads(line)
            if row["external_id"] in ids:
                sifted.erased += 1
            else:
                left.append(canonical(row))
    for n, part in enumerate(parts(left)):
        (folder / f"data-{n:04}.jsonl").write_text(part, encoding="utf-8", newline="")
        sifted.names.append(f"data-{n:04}.jsonl")
    sifted.manifest["rows"] = len(left)


def _sift_export(old: DatasetInfo, open: Open, gone: Gone, folder: Path, sifted: Sifted) -> None:
    manifest = sifted.manifest
    form, columns, written = manifest["format"], manifest["columns"], Written()
    rows = layouts.read(form, manifest["data"], columns, open)
    written = files.lay_out(written, _left(rows, gone, sifted), form, columns, folder)
    manifest |= written.said()
    sifted.names, sifted.card = list(written.names), True
    if "reasons" in manifest:
        names, count = files.write_reasons(_reasons(old, open, gone), form, folder)
        manifest["reasons"] = {**manifest["reasons"], "rows": count}
        sifted.names += names
    by_sha = {details["sha256"]: details for details in old.files.values()}
    shas = {name: path.removeprefix("images/")[:64] for name, path in sorted(written.images.items())}
    sifted.kept = {name: dict(by_sha[sha]) for name, sha in shas.items() if sha in by_sha}
    sifted.kept |= {name: dict(details) for name, details in old.files.items() if name == CONFIG}


def _left(rows: Iterator[dict[str, Any]], gone: Gone, sifted: Sifted) -> Iterator[dict[str, Any]]:
    for row in rows:
        if gone.has(row):
            sifted.erased += 1
        else:
            yield row


def _reasons(old: DatasetInfo, open: Open, gone: Gone) -> Iterator[dict[str, Any]]:
    form = files.reasons_format(old.manifest["format"])
    for name in sorted(name for name in old.files if name.startswith("reasons")):
        yield from (row for row in tables.read(form, open(name), files.REASONS) if not gone.has(row))
