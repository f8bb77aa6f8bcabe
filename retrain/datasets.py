"""Labelled datasets: what came with the project, and what people decided up to a watermark in the event sequence."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Text, insert, select, type_coerce
from sqlalchemy.orm import Session

from contract.canonical import canonical, content_hash, digest
from db import blobs
from db.tables import Dataset, DatasetItem
from retrain import files, rows
from retrain.records import DatasetInfo, DatasetVersion
from review_queue import activity, clock, events
from review_queue.activity import Actor
from review_queue.errors import Invalid, NotFound, Refused
from review_queue.projects import Setting

Format = Literal["parquet", "jsonl", "csv"]
FORMATS = ("parquet", "jsonl", "csv")
PART = 16 * 2**20
"""Characters of one part of a base dataset."""


def add_base(session: Session, setting: Setting, labelled: Sequence[Mapping[str, Any]], *, by: Actor | None) -> DatasetInfo:
    """Keep labels that came with the project: {"external_id", "input", "label", "split": train | test} each."""
    return _keep_lines(session, setting, "base", labelled, by)


def add_answers(session: Session, setting: Setting, answers: Mapping[str, str], *, by: Actor | None) -> DatasetInfo:
    """Keep the known answers of items, by external id: they can play the operator, and are marked wherever they do."""
    return _keep_lines(session, setting, "answers", [{"external_id": k, "label": v} for k, v in answers.items()], by)


def lines(session: Session, info: DatasetInfo) -> Iterator[dict[str, Any]]:
    """The rows of a base or answers dataset, as they were given."""
    for name in sorted(name for name in info.files if name.startswith("data")):
        for line in _bytes(session, info, name).decode().splitlines():
            yield json.loads(line)


def known_answers(session: Session, project_id: int) -> DatasetInfo | None:
    """The newest known answers of a project, where it has any."""
    return newest(session, project_id, "answers")


def newest(session: Session, project_id: int, kind: str) -> DatasetInfo | None:
    """The newest dataset version of a kind, where there is one."""
    query = select(Dataset).where(Dataset.project_id == project_id, Dataset.kind == kind).order_by(Dataset.id.desc())
    row = session.scalar(query.limit(1))
    return _info(row) if row is not None else None


def has(session: Session, project_id: int, kind: str) -> bool:
    """Whether there is any dataset version of a kind."""
    return session.scalar(select(Dataset.id).where(Dataset.project_id == project_id, Dataset.kind == kind).limit(1)) is not None


def versions(
    session: Session, project_id: int, *, kind: str | None = None, before: int | None = None, limit: int = 100
) -> list[DatasetVersion]:
    """Dataset versions of a project, newest first, without their manifests; those before one where it is named."""
    columns = (Dataset.id, Dataset.kind, Dataset.spec, Dataset.watermark, Dataset.content_hash, Dataset.made_at)
    query = select(*columns).where(Dataset.project_id == project_id).order_by(Dataset.id.desc()).limit(limit)
    query = query.where(Dataset.kind == kind) if kind is not None else query
    query = query.where(Dataset.id < before) if before is not None else query
    rows = session.execute(query)
    return [DatasetVersion(id, kind, spec["rows"], mark, hashed, at) for id, kind, spec, mark, hashed, at in rows]


def infos(session: Session, dataset_ids: Sequence[int]) -> list[DatasetInfo]:
    """These dataset versions in full, newest first."""
    return [_info(row) for row in session.scalars(select(Dataset).where(Dataset.id.in_(dataset_ids)).order_by(Dataset.id.desc()))]


def dataset(session: Session, dataset_id: int) -> DatasetInfo:
    """Raises NotFound."""
    row = session.get(Dataset, dataset_id)
    if row is None:
        raise NotFound(f"there is no dataset {dataset_id}; `signoff dataset list` shows them")
    return _info(row)


def export(session: Session, setting: Setting, *, format: str = "parquet", by: Actor | None) -> DatasetInfo:
    """What people decided so far, as the next dataset version; the same watermark gives the same bytes again.

    Raises Invalid for an unknown format, Refused where nothing is decided yet.
    """
    if format not in FORMATS:
        raise Invalid(f"{format!r} is no format; choose one of {', '.join(FORMATS)}")
    return export_at(session, setting, rows.latest(session, setting.id), format=format, by=by)


def export_at(session: Session, setting: Setting, watermark: int, *, format: str, by: Actor | None) -> DatasetInfo:
    """The dataset version of one position in the event sequence. Raises Refused where nothing was decided by then."""
    table = rows.gather(session, setting, watermark)
    if not table.rows:
        wait = setting.policy.review.undo_window.total_seconds()
        raise Refused(f"nothing decided has left the house yet; an answer counts {wait:g} seconds after it was given")
    contents = files.write(setting.project, table, format)
    listed = {name: {"sha256": blobs.put(session, data, files.media_type(name)), "size": len(data)} for name, data in contents}
    listed |= {name: {"sha256": sha, "size": size} for name, (sha, size) in rows.images(session, setting.project, table).items()}
    described = files.describe(setting, table, watermark, format)
    listed["README.md"] = _put(session, "README.md", files.card(described))
    manifest = {**described, "files": dict(sorted(listed.items()))}
    listed["dataset.json"] = _put(session, "dataset.json", canonical(manifest))
    spec = {"format": format, "rows": len(table.rows)}
    info = _keep(session, setting, "export", watermark, spec, listed, manifest, by)
    _remember_items(session, info, table)
    activity.record(session, by, "dataset.export", f"dataset:{info.id}", project_id=setting.id, after=spec)
    return info


def write_folder(session: Session, info: DatasetInfo, folder: Path) -> None:
    """Put the files of a dataset version into a folder."""
    for name in info.files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_bytes(session, info, name))


def verify(folder: Path) -> list[str]:
    """What is wrong with an exported folder: each file against the hash that its manifest gives. Empty: nothing."""
    try:
        manifest = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return [f"dataset.json cannot be read: {error}"]
    problems = []
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        return ["dataset.json names no files: it is not the one of an exported dataset"]
    for name, details in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif digest(path.read_bytes()) != details["sha256"]:
            problems.append(f"{name} was changed: its SHA-256 is not the one in dataset.json")
    return problems


def holds(session: Session, sha: str) -> bool:
    """Whether bytes are a file of a dataset version (its images aside), which is taken out by `take_out` alone."""
    named = select(Dataset.id).where(type_coerce(Dataset.manifest, Text).contains(sha)).limit(50)
    found = (dataset(session, dataset_id) for dataset_id in session.scalars(named))
    return any(
        details["sha256"] == sha and not name.startswith("images/") for info in found for name, details in info.files.items()
    )


def file(session: Session, info: DatasetInfo, name: str) -> bytes:
    """One file of a dataset version. Raises NotFound."""
    if name not in info.files:
        raise NotFound(f"dataset {info.id} has no file {name!r}; it has {', '.join(sorted(info.files)[:5])}")
    return _bytes(session, info, name)


def take_out(session: Session, dataset_id: int, name: str, *, by: Actor) -> bytes:
    """One file of a dataset version, with a note of who took it. Raises NotFound.

    Known answers stay in: they would unblind whoever reads them.
    """
    info = dataset(session, dataset_id)
    if info.kind == "answers":
        raise NotFound(f"dataset {dataset_id} holds known answers, which nobody takes out")
    data = file(session, info, name)
    project_id = session.scalar(select(Dataset.project_id).where(Dataset.id == dataset_id))
    activity.record(session, by, "dataset.download", f"dataset:{dataset_id}", project_id=project_id, after={"file": name})
    return data


def _put(session: Session, name: str, text: str) -> dict[str, Any]:
    data = text.encode()
    return {"sha256": blobs.put(session, data, files.media_type(name)), "size": len(data)}


def _bytes(session: Session, info: DatasetInfo, name: str) -> bytes:
    found = blobs.get(session, info.files[name]["sha256"])
    if found is None:
        raise NotFound(f"the bytes of {name} are gone from the store")
    return found[0]


def _keep_lines(
    session: Session, setting: Setting, kind: str, given: Sequence[Mapping[str, Any]], by: Actor | None
) -> DatasetInfo:
    listed = {}
    for n, part in enumerate(_parts([canonical(row) for row in given])):
        data = part.encode()
        listed[f"data-{n:04}.jsonl"] = {"sha256": blobs.put(session, data, "application/x-ndjson"), "size": len(data)}
    manifest = {"rows": len(given), "files": listed}
    return _keep(session, setting, kind, None, {"rows": len(given)}, listed, manifest, by)


def _parts(texts: Sequence[str]) -> Iterator[str]:
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


def _keep(
    session: Session,
    setting: Setting,
    kind: str,
    watermark: int | None,
    spec: dict[str, Any],
    listed: Mapping[str, Mapping[str, Any]],
    manifest: Mapping[str, Any],
    by: Actor | None,
) -> DatasetInfo:
    """The row of this content: a new one, or the one that has it already."""
    hashed = content_hash({"kind": kind, "files": {name: details["sha256"] for name, details in listed.items()}})
    query = select(Dataset).where(Dataset.project_id == setting.id, Dataset.content_hash == hashed)
    if (known := session.scalar(query)) is not None:
        return _info(known)
    row = Dataset(
        project_id=setting.id,
        kind=kind,
        watermark=watermark,
        spec=spec,
        content_hash=hashed,
        manifest={**manifest, "files": dict(listed)},
        made_at=clock.now(),
        made_by=by.id if by else None,
    )
    session.add(row)
    session.flush()
    events.announce(session, setting.id, "dataset.created", {"dataset": str(row.id), "kind": kind, **spec}, item_id=None)
    return _info(row)


def _remember_items(session: Session, info: DatasetInfo, table: rows.Labelled) -> None:
    held = set(session.scalars(select(DatasetItem.item_id).where(DatasetItem.dataset_id == info.id)))
    new = [{"item_id": item_id, "dataset_id": info.id} for item_id in table.item_ids if item_id not in held]
    if new:
        session.execute(insert(DatasetItem), new)


def _info(row: Dataset) -> DatasetInfo:
    return DatasetInfo(
        id=row.id,
        kind=row.kind,
        rows=row.spec["rows"],
        watermark=row.watermark,
        content_hash=row.content_hash,
        files=row.manifest["files"],
        manifest=row.manifest,
        made_at=row.made_at,
    )
