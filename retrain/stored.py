"""Dataset versions as they are stored: a row that names files, and the files among the blobs."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Text, delete, exists, or_, select, type_coerce
from sqlalchemy.orm import Session

from contract.canonical import content_hash
from db import blobs
from db.tables import Blob, Dataset, Item, Model, Project
from retrain import files
from retrain.records import DatasetInfo
from review_queue.errors import NotFound, Refused

UNFINISHED = "unfinished"
"""The kind of a version that is being made; nobody sees it until it is whole."""
Listed = Mapping[str, Mapping[str, Any]]


def info(row: Dataset) -> DatasetInfo:
    """A version as its callers have it."""
    return DatasetInfo(
        id=row.id,
        kind=row.kind,
        rows=row.spec["rows"],
        watermark=row.watermark,
        content_hash=row.content_hash,
        files=row.manifest["files"],
        manifest=row.manifest,
        made_at=row.made_at,
        replaced_by=row.replaced_by,
    )


def hashed(kind: str, listed: Listed, replaces: str | None = None) -> str:
    """The name of a version: its kind, the hashes of its files, and the one that it `replaces` where that is to tell it apart."""
    named = {"kind": kind, "files": {name: details["sha256"] for name, details in listed.items()}}
    return content_hash(named | ({"replaces": replaces} if replaces is not None else {}))


def put(session: Session, name: str, data: bytes) -> dict[str, Any]:
    """Keep the bytes of a file; what a manifest says of it."""
    return {"sha256": blobs.put(session, data, files.media_type(name), most=files.MOST), "size": len(data)}


def get(session: Session, held: DatasetInfo, name: str) -> bytes:
    """One file. Raises NotFound where its bytes are gone."""
    found = blobs.get(session, held.files[name]["sha256"])
    if found is None:
        raise NotFound(f"the bytes of {name} are gone from the store")
    return found[0]


def known(session: Session, project_id: int, content: str) -> Dataset | None:
    """The version of this content; one after the other, where two make the same at once.

    Raises Refused where rows of it were erased since.
    """
    session.execute(select(Project.id).where(Project.id == project_id).with_for_update(key_share=True))
    row = session.scalar(select(Dataset).where(Dataset.project_id == project_id, Dataset.content_hash == content))
    if row is not None and row.replaced_by is not None:
        raise Refused(f"these rows are dataset {row.id}, of which some were erased; dataset {row.replaced_by} has the others")
    return row


def let_go(session: Session, shas: Iterable[str], *, images: bool = False) -> None:
    """Delete the bytes that nothing names any more. `images`: items may name them too."""
    for sha in sorted(set(shas)):
        versions = (Dataset.replaced_by.is_(None), type_coerce(Dataset.manifest, Text).contains(sha))
        naming = [exists().where(*versions), exists().where(Model.sha256 == sha)]
        naming += [exists().where(or_(Item.input.contains(sha), Item.show.contains(sha)))] if images else []
        session.execute(delete(Blob).where(Blob.sha256 == sha, *(~each for each in naming)))
