"""Labelled datasets: what came with the project, and what people decided up to a watermark in the event sequence."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal

from sqlalchemy import Text, literal, select, type_coerce, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from contract.canonical import canonical, content_hash, digest
from db import blobs, bulk
from db.engine import Database
from db.tables import Dataset, DatasetItem, Item, Project
from retrain import files, rows
from retrain.files import Written
from retrain.records import DatasetInfo, DatasetVersion
from retrain.rows import Progress
from review_queue import activity, clock, events
from review_queue.activity import Actor
from review_queue.errors import Invalid, NotFound, Refused
from review_queue.projects import Setting

Format = Literal["parquet", "jsonl", "csv"]
FORMATS = ("parquet", "jsonl", "csv")
PART = 16 * 2**20
"""Characters of one part of a base dataset."""
ITEMS = 10_000
"""Items of an export that are noted in one transaction."""
MOST_IMAGES = 100_000
"""Images of an export: each stands in its manifest."""
UNFINISHED = "unfinished"
"""The kind of an export whose items are still being noted; nobody sees it until they are."""


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
    query = query.where(Dataset.kind != UNFINISHED)
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
    if row is None or row.kind == UNFINISHED:
        raise NotFound(f"there is no dataset {dataset_id}; `signoff dataset list` shows them")
    return _info(row)


def export(
    database: Database,
    setting: Setting,
    *,
    format: str = "parquet",
    with_reasons: bool = False,
    by: Actor | None,
    progress: Progress | None = None,
) -> DatasetInfo:
    """What people decided so far, as the next dataset version; the same watermark gives the same bytes again.

    `with_reasons`: beside the rows the explanations that stood on the screens of those who decided. Takes as much memory for
    many rows as for few, and writes shortly: people go on deciding meanwhile. Raises Invalid for an unknown format, Refused
    where nothing is decided yet.
    """
    if format not in FORMATS:
        raise Invalid(f"{format!r} is no format; choose one of {', '.join(FORMATS)}")
    watermark = latest(database, setting.id)
    return export_at(database, setting, watermark, format=format, with_reasons=with_reasons, by=by, progress=progress)


def latest(database: Database, project_id: int) -> int:
    """The position of a project's last answer, after what is ready has left the house; 0 before the first."""
    while database.write(events.sequence):
        pass
    return database.read(rows.latest, project_id)


def export_at(
    database: Database,
    setting: Setting,
    watermark: int,
    *,
    format: str,
    with_reasons: bool = False,
    by: Actor | None,
    progress: Progress | None = None,
) -> DatasetInfo:
    """The dataset version of one position in the event sequence. Raises Refused where nothing was decided by then, or where
    more images are named than a manifest lists."""
    with tempfile.TemporaryDirectory(prefix="signoff-export-") as place, tempfile.TemporaryFile() as ids:
        folder, table = Path(place), rows.stream(database, setting, watermark, progress)
        written = files.write(setting.project, table, format, folder, ids)
        _refuse(setting, written)
        ids.seek(0)
        beside, shown = _reasons(database, watermark, format, folder, ids) if with_reasons else ([], None)
        listed = {name: database.write(_put, name, (folder / name).read_bytes()) for name in (*written.names, *beside)}
        listed |= _images(database, written)
        described = files.describe(setting, written, watermark, format, shown)
        info = database.write(_begin, setting, watermark, described, written.names, listed, by)
        ids.seek(0)
        _remember_items(database, info, ids)
        return database.write(_finish, setting, info, by)


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
    found = infos(session, session.scalars(named).all())
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


def _refuse(setting: Setting, written: Written) -> None:
    if not written.count:
        wait = setting.policy.review.undo_window.total_seconds()
        raise Refused(f"nothing decided has left the house yet; an answer counts {wait:g} seconds after it was given")
    if (named := len(written.images)) > MOST_IMAGES:
        raise Refused(f"the decided cases name {named:,} images, and a dataset version lists up to {MOST_IMAGES:,}")


def _reasons(database: Database, watermark: int, format: str, folder: Path, ids: IO[bytes]) -> tuple[list[str], int]:
    return files.write_reasons(rows.reasons(database, watermark, ids), format, folder)


def _images(database: Database, written: Written) -> dict[str, dict[str, Any]]:
    paths, found = sorted(written.images), dict[str, dict[str, Any]]()
    for begin in range(0, len(paths), ITEMS):
        held = database.read(rows.images, paths[begin : begin + ITEMS])
        found |= {name: {"sha256": sha, "size": size} for name, (sha, size) in held.items()}
    return found


def _begin(
    session: Session,
    setting: Setting,
    watermark: int,
    described: Mapping[str, Any],
    names: Sequence[str],
    listed: Mapping[str, Mapping[str, Any]],
    by: Actor | None,
) -> DatasetInfo:
    """The version with its card and manifest, which nobody sees yet; or the one of this content, as it stands."""
    listed = {**listed, "README.md": _put(session, "README.md", files.card(described, names).encode())}
    manifest = {**described, "files": dict(sorted(listed.items()))}
    listed["dataset.json"] = _put(session, "dataset.json", canonical(manifest).encode())
    spec = {"format": described["format"], "rows": described["rows"]}
    spec |= {"reasons": described["reasons"]["rows"]} if "reasons" in described else {}
    row = _row(setting, "export", watermark, spec, listed, manifest, by)
    row.kind = UNFINISHED
    return _info(_stored(session, row))


def _remember_items(database: Database, info: DatasetInfo, file: IO[bytes]) -> None:
    """Note the items of a version that is new, or whose export came to an end here before."""
    while info.kind == UNFINISHED and (ids := rows.read_ids(file, ITEMS)):
        database.write(_remember, info.id, ids)


def _remember(session: Session, dataset_id: int, ids: Sequence[int]) -> None:
    theirs = select(Item.id, literal(dataset_id)).where(bulk.among(session, Item.id, list(ids)))
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(make(DatasetItem).from_select(["item_id", "dataset_id"], theirs).on_conflict_do_nothing())


def _finish(session: Session, setting: Setting, info: DatasetInfo, by: Actor | None) -> DatasetInfo:
    """Let everybody see the version, and say so once."""
    hidden = update(Dataset).where(Dataset.id == info.id, Dataset.kind == UNFINISHED)
    row = session.get_one(Dataset, info.id)
    if session.scalar(hidden.values(kind="export", made_at=clock.now()).returning(Dataset.id)) is not None:
        session.refresh(row)
        _announce(session, setting, row)
    activity.record(session, by, "dataset.export", f"dataset:{info.id}", project_id=setting.id, after=row.spec)
    return _info(row)


def _announce(session: Session, setting: Setting, row: Dataset) -> None:
    events.announce(session, setting.id, "dataset.created", {"dataset": str(row.id), "kind": row.kind, **row.spec}, item_id=None)


def _put(session: Session, name: str, data: bytes) -> dict[str, Any]:
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
        name = f"data-{n:04}.jsonl"
        listed[name] = _put(session, name, part.encode())
    manifest = {"rows": len(given), "files": listed}
    row = _row(setting, kind, None, {"rows": len(given)}, listed, manifest, by)
    if (stored := _stored(session, row)) is row:
        _announce(session, setting, row)
    return _info(stored)


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


def _row(
    setting: Setting,
    kind: str,
    watermark: int | None,
    spec: dict[str, Any],
    listed: Mapping[str, Mapping[str, Any]],
    manifest: Mapping[str, Any],
    by: Actor | None,
) -> Dataset:
    """A version, named by its kind and the hashes of its files."""
    hashed = content_hash({"kind": kind, "files": {name: details["sha256"] for name, details in listed.items()}})
    return Dataset(
        project_id=setting.id,
        kind=kind,
        watermark=watermark,
        spec=spec,
        content_hash=hashed,
        manifest={**manifest, "files": dict(listed)},
        made_at=clock.now(),
        made_by=by.id if by else None,
    )


def _stored(session: Session, row: Dataset) -> Dataset:
    """This row, or the one that has its content already; one after the other, where two make the same at once."""
    session.execute(select(Project.id).where(Project.id == row.project_id).with_for_update(key_share=True))
    query = select(Dataset).where(Dataset.project_id == row.project_id, Dataset.content_hash == row.content_hash)
    if (known := session.scalar(query)) is not None:
        return known
    session.add(row)
    session.flush()
    return row


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
