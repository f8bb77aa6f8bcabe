"""Labelled datasets: what came with the project, and what people decided up to a watermark in the event sequence."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, Literal
from uuid import uuid4

from sqlalchemy import Text, delete, literal, select, type_coerce
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from contract.canonical import canonical, digest
from db import blobs, bulk
from db.engine import Database
from db.tables import Dataset, DatasetItem, Erased, Item, ItemKey
from retrain import files, rows, sifting, stored
from retrain.files import Written
from retrain.formats import label_studio
from retrain.formats.card import card
from retrain.formats.layouts import FORMATS
from retrain.records import DatasetInfo, DatasetVersion
from retrain.rows import Progress
from retrain.sifting import Gone
from retrain.stored import UNFINISHED
from review_queue import activity, clock, events
from review_queue.activity import Actor
from review_queue.errors import Invalid, NotFound, Refused
from review_queue.projects import Setting

Format = Literal["parquet", "jsonl", "csv", "huggingface", "image-folder", "label-studio"]

ITEMS = 10_000
"""Items of an export that are noted in one transaction."""
MOST_IMAGES = 100_000
"""Images of an export: each stands in its manifest."""
ABANDONED = timedelta(minutes=10)
"""After which the next export clears away one that gives no sign of life."""
TRIES = 5
"""How often an export begins again because an item in it was erased meanwhile."""


class Cleared(Refused):
    """A version that was being made is gone, or another took its place: its maker begins again."""


def add_base(session: Session, setting: Setting, labelled: Sequence[Mapping[str, Any]], *, by: Actor | None) -> DatasetInfo:
    """Keep labels that came with the project: {"external_id", "input", "label", "split": train | test} each."""
    return _keep_lines(session, setting, "base", labelled, by)


def add_imported(session: Session, setting: Setting, labelled: Sequence[Mapping[str, Any]], *, by: Actor | None) -> DatasetInfo:
    """Keep labels that were given elsewhere: rows as those of a base, with `basis` imported and, where they are known,
    `annotators`, `annotated_at` and `agreement`, the share of them who gave the label."""
    return _keep_lines(session, setting, "imported", labelled, by)


def add_answers(session: Session, setting: Setting, answers: Mapping[str, str], *, by: Actor | None) -> DatasetInfo:
    """Keep the known answers of items, by external id: they can play the operator, and are marked wherever they do."""
    return _keep_lines(session, setting, "answers", [{"external_id": k, "label": v} for k, v in answers.items()], by)


def lines(session: Session, info: DatasetInfo) -> Iterator[dict[str, Any]]:
    """The rows of a base, imported or answers dataset, as they were given."""
    for name in sorted(name for name in info.files if name.startswith("data")):
        for line in stored.get(session, info, name).decode().split("\n")[:-1]:
            yield json.loads(line)


def known_answers(session: Session, project_id: int) -> DatasetInfo | None:
    """The newest known answers of a project, where it has any."""
    return newest(session, project_id, "answers")


def newest(session: Session, project_id: int, kind: str) -> DatasetInfo | None:
    """The newest dataset version of a kind, where there is one; one that was made anew without what was erased is as old as
    the one it replaces."""
    standing = (Dataset.project_id == project_id, Dataset.kind == kind, Dataset.replaced_by.is_(None))
    row = session.scalar(select(Dataset).where(*standing).order_by(Dataset.made_at.desc(), Dataset.id.desc()).limit(1))
    return stored.info(row) if row is not None else None


def has(session: Session, project_id: int, kind: str) -> bool:
    """Whether there is any dataset version of a kind."""
    return session.scalar(select(Dataset.id).where(Dataset.project_id == project_id, Dataset.kind == kind).limit(1)) is not None


def versions(
    session: Session, project_id: int, *, kind: str | None = None, before: int | None = None, limit: int = 100
) -> list[DatasetVersion]:
    """Dataset versions of a project, newest first, without their manifests; those before one where it is named."""
    columns = (
        Dataset.id,
        Dataset.kind,
        Dataset.spec,
        Dataset.watermark,
        Dataset.content_hash,
        Dataset.made_at,
        Dataset.replaced_by,
    )
    query = select(*columns).where(Dataset.project_id == project_id).order_by(Dataset.id.desc()).limit(limit)
    query = query.where(Dataset.kind != UNFINISHED)
    query = query.where(Dataset.kind == kind) if kind is not None else query
    query = query.where(Dataset.id < before) if before is not None else query
    return [_version(*row) for row in session.execute(query)]


def infos(session: Session, dataset_ids: Sequence[int]) -> list[DatasetInfo]:
    """These dataset versions in full, newest first."""
    query = select(Dataset).where(Dataset.id.in_(dataset_ids)).order_by(Dataset.id.desc())
    return [stored.info(row) for row in session.scalars(query)]


def dataset(session: Session, dataset_id: int) -> DatasetInfo:
    """Raises NotFound."""
    row = session.get(Dataset, dataset_id)
    if row is None or row.kind == UNFINISHED:
        raise NotFound(f"there is no dataset {dataset_id}; `signoff dataset list` shows them")
    return stored.info(row)


def require_standing(session: Session, dataset_ids: Sequence[int]) -> None:
    """Raises Cleared where rows of one of these versions were erased; until the transaction ends, none can be taken out."""
    held = select(Dataset.replaced_by).where(Dataset.id.in_(dataset_ids)).order_by(Dataset.id).with_for_update(read=True)
    if any(replaced is not None for replaced in session.scalars(held)):
        raise Cleared("rows that the model learned from were erased while it was trained")


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
    if format == "image-folder" and setting.project.input.type != "image":
        raise Invalid(f"image-folder is for images, and a {setting.project.noun} is {setting.project.input.type}; choose another")
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
    for _ in range(TRIES):
        with tempfile.TemporaryDirectory(prefix="signoff-export-") as place, tempfile.TemporaryFile() as ids, suppress(Cleared):
            made = _export(database, setting, watermark, format, with_reasons, by, progress, Path(place), ids)
            if made is not None:
                return made
    raise Refused("items of the version were erased while it was made, again and again; export once erasing is done")


def rewrite(database: Database, dataset_id: int, without: Set[int], by: Actor | None) -> DatasetInfo | None:
    """Make a version anew without the rows of these items, by their ids; None where it has none of them.

    The new one is as old as the one it replaces, names its hash (`replaces`) and how many rows were erased. Of the old one only
    hash and counts stay; bytes that nothing else names are gone. A version that is still being made, and that held one of the
    items, is dropped: its maker begins again. Doing it once more, also after a crash, changes nothing more. Raises NotFound.
    """
    for _ in range(TRIES):
        old = database.read(_last, dataset_id)
        if old.kind == UNFINISHED:
            if database.write(_forget, old.id):
                return None
            continue  # it was finished meanwhile
        with suppress(Cleared):
            return _rewritten(database, old, without, by)
    raise Refused(f"dataset {dataset_id} was made anew elsewhere, again and again; erase the items once more")


def _rewritten(database: Database, old: DatasetInfo, without: Set[int], by: Actor | None) -> DatasetInfo | None:
    """Raises Cleared where another erasure came between."""
    gone = database.read(_gone, without)
    with tempfile.TemporaryDirectory(prefix="signoff-rewrite-") as place:
        sifted = sifting.sift(old, lambda name: database.read(stored.get, old, name), gone, Path(place))
        if sifted.erased == 0:
            return None
        draft = database.write(_begin, database.read(_project, old.id), old.watermark, by)
        listed = {name: database.write(_put, draft, name, (Path(place) / name).read_bytes()) for name in sifted.names}
    listed |= sifted.kept
    database.write(_describe, draft, sifted.manifest, listed, sifted.card)
    _take_items(database, old.id, draft, without)
    made = database.write(_replace, old, draft, sifted.erased, by)
    if made is None:
        raise Cleared(f"dataset {old.id} was made anew elsewhere meanwhile")
    return made


def write_folder(session: Session, info: DatasetInfo, folder: Path) -> None:
    """Put the files of a dataset version into a folder."""
    for name in info.files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stored.get(session, info, name))


def verify(folder: Path) -> list[str]:
    """What is wrong with an exported folder: each file against the hash that its manifest gives, and the manifest against its
    own. Empty: nothing."""
    try:
        text = (folder / "dataset.json").read_text(encoding="utf-8")
        manifest = json.loads(text)
    except (OSError, ValueError) as error:
        return [f"dataset.json cannot be read: {error}"]
    problems = []
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        return ["dataset.json names no files: it is not the one of an exported dataset"]
    unsealed = {name: value for name, value in manifest.items() if name != "seal"}
    if "seal" in manifest and text != canonical(_sealed(unsealed)):
        problems.append("dataset.json was changed: its own hash, `seal`, is another")
    for name, details in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif not isinstance(details, dict) or digest(path.read_bytes()) != details.get("sha256"):
            problems.append(f"{name} was changed: its SHA-256 is not the one in dataset.json")
    return problems


def verify_stored(session: Session, info: DatasetInfo) -> list[str]:
    """What is wrong with the stored files of a version. Empty: nothing."""
    problems = []
    for name, details in info.files.items():
        found = blobs.get(session, details["sha256"])
        if found is None:
            problems.append(f"{name} is gone from the store")
        elif digest(found[0]) != details["sha256"]:
            problems.append(f"{name} was changed in the store: its SHA-256 is not the one in the manifest")
    return problems


def replacement(session: Session, folder: Path) -> int | None:
    """The version that stands in place of a whole exported folder, where rows of it were erased since; else None."""
    text = (folder / "dataset.json").read_bytes()
    listed = {**json.loads(text)["files"], "dataset.json": {"sha256": digest(text)}}
    row = session.scalar(select(Dataset).where(Dataset.content_hash == stored.hashed("export", listed)))
    return None if row is None or row.replaced_by is None else _last(session, row.id).id


def holds(session: Session, sha: str) -> bool:
    """Whether bytes are a file of a dataset version (its images aside), which is taken out by `take_out` alone."""
    named = select(Dataset.id).where(type_coerce(Dataset.manifest, Text).contains(sha)).limit(50)
    found = infos(session, session.scalars(named).all())
    return any(
        details["sha256"] == sha and not _is_image(info.manifest, name) for info in found for name, details in info.files.items()
    )


def file(session: Session, info: DatasetInfo, name: str) -> bytes:
    """One file of a dataset version. Raises NotFound."""
    if name not in info.files:
        raise NotFound(f"dataset {info.id} has no file {name!r}; it has {', '.join(sorted(info.files)[:5])}")
    return stored.get(session, info, name)


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
    paths, held = sorted(set(written.images.values())), dict[str, tuple[str, int]]()
    for begin in range(0, len(paths), ITEMS):
        held |= database.read(rows.images, paths[begin : begin + ITEMS])
    there = ((name, held[path]) for name, path in sorted(written.images.items()) if path in held)
    return {name: {"sha256": sha, "size": size} for name, (sha, size) in there}


def _export(
    database: Database,
    setting: Setting,
    watermark: int,
    format: str,
    with_reasons: bool,
    by: Actor | None,
    progress: Progress | None,
    folder: Path,
    ids: IO[bytes],
) -> DatasetInfo | None:
    """The version, in an empty folder; None where an item of it was erased meanwhile."""
    written = files.write(setting, rows.stream(database, setting, watermark, progress), format, folder, ids)
    written.erased = database.read(rows.erased, setting.id, watermark)
    _refuse(setting, written)
    ids.seek(0)
    beside, shown = _reasons(database, watermark, format, folder, ids) if with_reasons else ([], None)
    draft = database.write(_begin, setting.id, watermark, by)
    listed = {name: database.write(_put, draft, name, (folder / name).read_bytes()) for name in (*written.names, *beside)}
    listed |= _images(database, written)
    if format == "label-studio":
        config = label_studio.config(setting.project).encode()
        listed[label_studio.CONFIG] = database.write(_put, draft, label_studio.CONFIG, config)
    content = database.write(_describe, draft, files.describe(setting, written, watermark, format, shown), listed, True)
    if database.read(_stands, setting.id, content) is None:
        ids.seek(0)
        _remember_items(database, draft, ids)
    return database.write(_finish, setting, draft, content, by) if database.write(_is_whole, draft) else None


def _begin(session: Session, project_id: int, watermark: int | None, by: Actor | None) -> int:
    """A version that nobody sees yet, after those are cleared away whose makers died."""
    dead = (Dataset.project_id == project_id, Dataset.kind == UNFINISHED, Dataset.made_at < clock.now() - ABANDONED)
    for dataset_id in session.scalars(select(Dataset.id).where(*dead)).all():
        _forget(session, dataset_id)
    row = Dataset(
        project_id=project_id,
        kind=UNFINISHED,
        watermark=watermark,
        spec={"rows": 0},
        content_hash=f"{UNFINISHED}:{uuid4()}",
        manifest={"files": {}},
        made_at=clock.now(),
        made_by=by.id if by else None,
    )
    session.add(row)
    session.flush()
    return row.id


def _put(session: Session, draft: int, name: str, data: bytes) -> dict[str, Any]:
    """Keep a file of a version that is being made, which names it from now on; its maker lives."""
    row, entry = _draft(session, draft), stored.put(session, name, data)
    row.manifest, row.made_at = {"files": {**row.manifest["files"], name: entry}}, clock.now()
    return entry


def _draft(session: Session, draft: int) -> Dataset:
    """Raises Cleared."""
    row = session.get(Dataset, draft, with_for_update=True)
    if row is None:
        raise Cleared(
            "the version was cleared away while it was made: an item of it was erased, or its maker gave no sign of life"
        )
    return row


def _describe(
    session: Session, draft: int, described: Mapping[str, Any], listed: Mapping[str, Mapping[str, Any]], carded: bool
) -> str:
    """Put manifest and card beside the files; the hash that names the version."""
    row, held = _draft(session, draft), dict(listed)
    if carded:
        held["README.md"] = stored.put(session, "README.md", card(described).encode())
        manifest = _sealed({**described, "files": dict(sorted(held.items()))})
        held["dataset.json"] = stored.put(session, "dataset.json", canonical(manifest).encode())
    row.manifest, row.spec = {**described, "files": held}, _spec(described)
    return stored.hashed("export", held)


def _sealed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """With its own hash, by which a change of dataset.json itself is seen."""
    return {**manifest, "seal": digest(canonical(manifest))}


def _spec(described: Mapping[str, Any]) -> dict[str, Any]:
    """What a list of versions says of one."""
    spec = {"rows": described["rows"]}
    spec |= {"format": described["format"]} if "format" in described else {}
    spec |= {"reasons": described["reasons"]["rows"]} if "reasons" in described else {}
    weighed = described.get("weights")
    return spec | ({"effective": weighed["effective"], "price": weighed["price"]} if weighed else {})


def _stands(session: Session, project_id: int, content: str) -> int | None:
    return session.scalar(select(Dataset.id).where(Dataset.project_id == project_id, Dataset.content_hash == content))


def _is_whole(session: Session, draft: int) -> bool:
    """Whether none of its items was erased meanwhile; else the version is dropped."""
    theirs = select(Erased.item_id).join(DatasetItem, DatasetItem.item_id == Erased.item_id)
    whole = session.get(Dataset, draft) is not None and not session.scalar(theirs.where(DatasetItem.dataset_id == draft).limit(1))
    if not whole:
        _forget(session, draft)
    return whole


def _forget(session: Session, dataset_id: int) -> bool:
    """Clear a version away that nobody has seen; False where it is finished and stays."""
    row = session.get(Dataset, dataset_id, with_for_update=True)
    if row is not None and row.kind == UNFINISHED:
        shas = [details["sha256"] for name, details in row.manifest["files"].items() if not _is_image(row.manifest, name)]
        session.execute(delete(DatasetItem).where(DatasetItem.dataset_id == dataset_id))
        session.delete(row)
        session.flush()
        stored.let_go(session, shas)
        return True
    return row is None


def _remember_items(database: Database, draft: int, file: IO[bytes]) -> None:
    while ids := rows.read_ids(file, ITEMS):
        database.write(_remember, draft, ids)


def _remember(session: Session, dataset_id: int, ids: Sequence[int]) -> None:
    """Raises Cleared."""
    _draft(session, dataset_id)
    theirs = select(Item.id, literal(dataset_id)).where(bulk.among(session, Item.id, list(ids)))
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(make(DatasetItem).from_select(["item_id", "dataset_id"], theirs).on_conflict_do_nothing())


def _finish(session: Session, setting: Setting, draft: int, content: str, by: Actor | None) -> DatasetInfo:
    """Let everybody see the version, and say so once; or the one of this content, as it stands."""
    row = stored.known(session, setting.id, content)
    if row is None:
        row = _draft(session, draft)
        row.kind, row.content_hash, row.made_at = "export", content, clock.now()
        session.flush()
        _announce(session, setting.id, row)
    else:
        _forget(session, draft)
    activity.record(session, by, "dataset.export", f"dataset:{row.id}", project_id=setting.id, after=row.spec)
    return stored.info(row)


def _announce(session: Session, project_id: int, row: Dataset) -> None:
    events.announce(session, project_id, "dataset.created", {"dataset": str(row.id), "kind": row.kind, **row.spec}, item_id=None)


def _keep_lines(
    session: Session, setting: Setting, kind: str, given: Sequence[Mapping[str, Any]], by: Actor | None
) -> DatasetInfo:
    listed = {}
    for n, part in enumerate(sifting.parts([canonical(row) for row in given])):
        name = f"data-{n:04}.jsonl"
        listed[name] = stored.put(session, name, part.encode())
    manifest = {"rows": len(given), "files": listed}
    content = stored.hashed(kind, listed)
    if (known := stored.known(session, setting.id, content)) is not None:
        return stored.info(known)
    row = Dataset(
        project_id=setting.id,
        kind=kind,
        watermark=None,
        spec={"rows": len(given)},
        content_hash=content,
        manifest=manifest,
        made_at=clock.now(),
        made_by=by.id if by else None,
    )
    session.add(row)
    session.flush()
    _announce(session, setting.id, row)
    return stored.info(row)


def _version(
    id: int, kind: str, spec: Mapping[str, Any], mark: int | None, content: str, at: Any, replaced: int | None
) -> DatasetVersion:
    return DatasetVersion(id, kind, spec["rows"], mark, content, at, spec.get("effective"), replaced)


def _last(session: Session, dataset_id: int) -> DatasetInfo:
    """A version, or the last one in its place. Raises NotFound."""
    row = session.get(Dataset, dataset_id)
    while row is not None and row.replaced_by is not None:
        row = session.get(Dataset, row.replaced_by)
    if row is None:
        raise NotFound(f"there is no dataset {dataset_id}; `signoff dataset list` shows them")
    return stored.info(row)


def _project(session: Session, dataset_id: int) -> int:
    return session.get_one(Dataset, dataset_id).project_id


def _gone(session: Session, item_ids: Set[int]) -> Gone:
    """What rows of these items are known by."""
    query = select(ItemKey.name, ItemKey.revision).where(bulk.among(session, ItemKey.item_id, sorted(item_ids)))
    return Gone(frozenset(session.execute(query).tuples().all()))


def _take_items(database: Database, old: int, draft: int, without: Set[int]) -> None:
    """Note of the new version what the old one noted, without what was erased."""
    after = 0
    while ids := database.read(_items_after, old, after):
        database.write(_remember, draft, [each for each in ids if each not in without])
        after = ids[-1]


def _items_after(session: Session, dataset_id: int, after: int) -> list[int]:
    theirs = select(DatasetItem.item_id).where(DatasetItem.dataset_id == dataset_id, DatasetItem.item_id > after)
    return list(session.scalars(theirs.order_by(DatasetItem.item_id).limit(ITEMS)))


def _replace(session: Session, old: DatasetInfo, draft: int, erased: int, by: Actor | None) -> DatasetInfo | None:
    """Put the new version in the place of the old one, whose bytes go; None where another one stands there by now."""
    new, before = _draft(session, draft), session.get_one(Dataset, old.id, with_for_update=True)
    if before.replaced_by is not None:
        _forget(session, draft)
        return None
    new.kind, new.content_hash, new.made_at = old.kind, _named_anew(session, old, new), old.made_at
    before.replaced_by, before.manifest = new.id, {**before.manifest, "files": {}}
    session.flush()
    session.execute(delete(DatasetItem).where(DatasetItem.dataset_id == old.id))
    images = {name: details["sha256"] for name, details in old.files.items() if _is_image(old.manifest, name)}
    stored.let_go(session, [details["sha256"] for name, details in old.files.items() if name not in images])
    stored.let_go(session, set(images.values()) - {each["sha256"] for each in new.manifest["files"].values()}, images=True)
    _announce(session, new.project_id, new)
    note = {"replaced": str(old.id), "rows": new.spec["rows"], "erased": erased}
    activity.record(session, by, "dataset.rewrite", f"dataset:{new.id}", project_id=new.project_id, after=note)
    return stored.info(new)


def _named_anew(session: Session, old: DatasetInfo, new: Dataset) -> str:
    """The name of a version in place of another. Where the rows that are left are a version already, each keeps its own."""
    content = stored.hashed(old.kind, new.manifest["files"])
    if _stands(session, new.project_id, content) is None:
        return content
    return stored.hashed(old.kind, new.manifest["files"], old.content_hash)


def _is_image(manifest: Mapping[str, Any], name: str) -> bool:
    """Whether a file of a version lies in it as it came: an image, and neither rows nor what is said of them."""
    own = (*manifest.get("data", ()), "README.md", "dataset.json", label_studio.CONFIG)
    return name not in own and not name.startswith(("data", "reasons", "tasks"))
