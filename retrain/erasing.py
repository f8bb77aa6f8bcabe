"""Erasing as a whole: the items at once, then the dataset versions and models that hold rows of them, as a job that can be taken
up again."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from contract.canonical import digest
from contract.project import Project
from db import blobs, bulk
from db.engine import Database
from db.tables import Dataset, DatasetItem, Job, Model
from retrain import datasets, runs, stored
from retrain.rows import Progress
from review_queue import activity, erasure, jobs
from review_queue.activity import Actor
from review_queue.erasure import Gone
from review_queue.errors import Invalid
from review_queue.projects import Setting

KIND = "erase"
MOST = 1_000
"""Items of one erasure."""
BACKGROUND, MODEL = "background.jsonl", "model.json"
WHOLE = ("base", "imported", "answers", stored.UNFINISHED)
"""Kinds of datasets whose items are not noted."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What was erased at once, and the job that does the rest; None where nothing was named."""

    items: tuple[Gone, ...]
    job: int | None


def begin(
    session: Session, setting: Setting, external_ids: Sequence[str], *, why: str | None, by: Actor, worker: str | None = None
) -> Begun:
    """Erase items, all or none, and ask for the job that takes their rows out of datasets and models; `worker` takes it at once.

    Raises NotFound for an id that is not there, Forbidden below owner, Invalid for more than MOST.
    """
    erasure.require_owner(by)
    wanted = sorted(set(external_ids))
    if len(wanted) > MOST:
        raise Invalid(f"{len(wanted):,} items are more than the {MOST:,} of one erasure; erase them in parts")
    gone = tuple(erasure.erase(session, setting, each, why=why, by=by) for each in wanted)
    if not gone:
        return Begun((), None)
    stored.let_go(session, {sha for each in gone for sha in each.blobs}, images=True)
    ids = sorted(item_id for each in gone for item_id in each.item_ids)
    rows = {row for each in gone for row in each.rows} | _left(session, setting.id, set(ids))
    args = {"items": [str(each) for each in ids], "rows": sorted(rows)}
    if worker is None:
        return Begun(gone, jobs.ask(session, setting.id, KIND, args, by=by).id)
    return Begun(gone, jobs.begin(session, setting.id, KIND, args, worker, by=by).id)


def follow(
    database: Database, setting: Setting, args: Mapping[str, Any], *, by: Actor | None, progress: Progress | None = None
) -> dict[str, Any]:
    """Take the rows of erased items out of every dataset version and model archive. Doing it again does what is left.

    A model answers as before: what goes is the row among those that explanations hold cases against. What it learned stays in its
    weights; `learned` names the versions that learned from a dataset that held one of the items.
    """
    report = progress or (lambda share, step: None)
    ids, hashes = {int(each) for each in args["items"]}, frozenset(args.get("rows", ()))
    held = database.read(_holding, setting.id, ids)
    rewritten = list[int]()
    for n, dataset_id in enumerate(held):
        report(0.8 * n / len(held), f"dataset {dataset_id}: {n + 1} of {len(held)}")
        if (made := datasets.rewrite(database, dataset_id, ids, by)) is not None:
            rewritten.append(made.id)
    models = _models(database, setting, hashes, by, lambda share, step: report(0.8 + 0.2 * share, step))
    database.write(erasure.scrub, sorted(ids))  # what was in hand meanwhile
    database.write(_forget, setting.id, ids)
    learned = database.read(_learned, setting.id, {str(each) for each in (*held, *rewritten)} if rewritten else set())
    return {"items": len(ids), "datasets": [str(each) for each in rewritten], "models": models, "learned": learned}


def without_rows(archive: bytes, project: Project, hashes: Set[str]) -> tuple[bytes, int]:
    """The archive of a model without the rows of these hashes among those that it is explained by, and how many they were."""
    with zipfile.ZipFile(io.BytesIO(archive)) as held:
        entries = [(entry, held.read(entry)) for entry in held.infolist()]
    files = {entry.filename: data for entry, data in entries}
    lines = files.get(BACKGROUND, b"").decode().splitlines()
    kept = [line for line in lines if erasure.row_hash(project, json.loads(line)) not in hashes]
    if len(kept) == len(lines):
        return archive, 0
    files[BACKGROUND] = "".join(f"{line}\n" for line in kept).encode()
    described = json.loads(files[MODEL])
    described["files"][BACKGROUND] = digest(files[BACKGROUND])
    files[MODEL] = json.dumps(described, indent=1, ensure_ascii=False, allow_nan=False).encode()
    return _packed([(entry, files[entry.filename]) for entry, _ in entries]), len(lines) - len(kept)


def _packed(entries: Sequence[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for entry, data in entries:
            same = zipfile.ZipInfo(entry.filename, entry.date_time)
            same.external_attr = entry.external_attr
            archive.writestr(same, data, entry.compress_type, 6)
    return target.getvalue()


def _left(session: Session, project_id: int, ids: Set[int]) -> set[str]:
    """Hashes of rows that an erasure of these items noted and that never came to its end."""
    query = select(Job.args).where(Job.project_id == project_id, Job.kind == KIND, Job.state != "done")
    rows = [args for args in session.scalars(query) if ids & {int(each) for each in args["items"]}]
    return {row for args in rows for row in args["rows"]}


def _forget(session: Session, project_id: int, ids: Set[int]) -> None:
    """The hashes of rows are needed no more."""
    for row in session.scalars(select(Job).where(Job.project_id == project_id, Job.kind == KIND)).all():
        if {int(each) for each in row.args["items"]} <= ids and row.args["rows"]:
            row.args = {**row.args, "rows": []}
    session.flush()


def _holding(session: Session, project_id: int, ids: Set[int]) -> list[int]:
    """Dataset versions that hold one of the items, or may."""
    noted = select(DatasetItem.dataset_id).where(bulk.among(session, DatasetItem.item_id, sorted(ids)))
    theirs = (Dataset.project_id == project_id, Dataset.replaced_by.is_(None))
    return list(
        session.scalars(select(Dataset.id).where(*theirs, Dataset.id.in_(noted) | Dataset.kind.in_(WHOLE)).order_by(Dataset.id))
    )


def _models(
    database: Database, setting: Setting, hashes: Set[str], by: Actor | None, report: Callable[[float, str], None]
) -> list[int]:
    """The versions of which a row was taken out."""
    found = database.read(_versions, setting.id) if hashes else []
    changed = list[int]()
    for n, (model_id, version) in enumerate(found):
        report(n / len(found), f"model {version}: {n + 1} of {len(found)}")
        if database.write(_sift, setting, model_id, hashes, by):
            changed.append(version)
    return changed


def _versions(session: Session, project_id: int) -> list[tuple[int, int]]:
    query = select(Model.id, Model.version).where(Model.project_id == project_id, Model.name.is_(None)).order_by(Model.id)
    return list(session.execute(query).tuples())


def _sift(session: Session, setting: Setting, model_id: int, hashes: Set[str], by: Actor | None) -> bool:
    """Put the archive without the rows in the place of a model's; whether it had any."""
    row = session.get_one(Model, model_id, with_for_update=True)
    held = blobs.get(session, row.sha256)
    if held is None or not zipfile.is_zipfile(io.BytesIO(held[0])):
        return False
    archive, count = without_rows(held[0], setting.project, hashes)
    if not count:
        return False
    before, row.sha256 = row.sha256, blobs.put(session, archive, held[1], most=max(len(held[0]), blobs.MOST))
    row.figures = {**row.figures, "erased": row.figures.get("erased", 0) + count}
    session.flush()
    runs.untell(session, model_id)
    stored.let_go(session, [before])
    note = {"erased": count, "sha256": row.sha256}
    activity.record(session, by, "model.erase", f"model:{model_id}", project_id=setting.id, before={"sha256": before}, after=note)
    return True


def _learned(session: Session, project_id: int, named: Set[str]) -> list[int]:
    query = select(Model.version, Model.datasets).where(Model.project_id == project_id).order_by(Model.version)
    return [version for version, held in session.execute(query).tuples() if named & set(held)]
