"""Dataset versions as they are stored: a row that names files, and the files among the blobs."""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

from sqlalchemy import Text, delete, or_, select, type_coerce
from sqlalchemy.orm import Session

from contract.canonical import content_hash
from db import blobs, bulk
from db.tables import Blob, Dataset, Item, Model, Project
from retrain import files
from retrain.records import DatasetInfo
from review_queue.errors import NotFound, Refused

UNFINISHED = "unfinished"
"""The kind of a version that is being made; nobody sees it until it is whole."""
_SHA = re.compile(r"[0-9a-f]{64}")
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
    """Delete the bytes that nothing names any more. `images`: items may name them too; each is looked at once."""
    held = select(Blob.sha256).where(bulk.among(session, Blob.sha256, sorted(set(shas)))).order_by(Blob.sha256)
    left = set(session.scalars(held.with_for_update()))
    left -= set(session.scalars(select(Model.sha256).where(bulk.among(session, Model.sha256, sorted(left)))))
    for text in _naming(session, left, images):
        left.difference_update(_SHA.findall(text))
    session.execute(delete(Blob).where(bulk.among(session, Blob.sha256, sorted(left))))


def _naming(session: Session, shas: Set[str], images: bool) -> Iterator[str]:
    """Texts that may name some of these bytes, as long as any is left."""
    manifests = select(type_coerce(Dataset.manifest, Text)).where(Dataset.replaced_by.is_(None)).execution_options(yield_per=1)
    yield from session.scalars(manifests) if shas else ()
    if images and shas:
        mark = next(iter(shas)) if len(shas) == 1 else '"blob"'
        naming = select(Item.input, Item.show).where(or_(Item.input.contains(mark), Item.show.contains(mark)))
        for given, show in session.execute(naming.execution_options(yield_per=1_000)).tuples():
            yield f"{given} {show}"
