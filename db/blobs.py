"""Bytes named by their SHA-256, in one store that all processes reach: the database."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from db.tables import Blob

MOST = 32 * 2**20
"""Bytes of one blob."""


class BlobTooLarge(ValueError):
    """More bytes than the store takes."""


def put(session: Session, data: bytes, media_type: str, *, most: int | None = None) -> str:
    """Keep bytes, up to MOST unless said; their SHA-256 in hex. The same bytes are kept once. Raises BlobTooLarge."""
    if len(data) > (limit := most or MOST):
        raise BlobTooLarge(f"{len(data):,} bytes are more than the {limit:,} that a blob may have")
    sha = hashlib.sha256(data).hexdigest()
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    row = {"sha256": sha, "media_type": media_type, "size": len(data), "bytes": data, "made_at": datetime.now(UTC)}
    session.execute(make(Blob).values(row).on_conflict_do_nothing())
    return sha


def get(session: Session, sha: str) -> tuple[bytes, str] | None:
    """Bytes and media type; None where the store has no such bytes."""
    row = session.execute(select(Blob.bytes, Blob.media_type).where(Blob.sha256 == sha)).first()
    return (row.bytes, row.media_type) if row is not None and row.bytes is not None else None


def fill(session: Session, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows in which every `{"blob": "sha256:…"}` is replaced by its bytes; by None where the store lost them."""
    held = [dict(row) for row in rows]
    named = [(row, name, sha) for row in held for name, value in row.items() if (sha := _sha(value))]
    wanted = sorted({sha for _, _, sha in named})
    found: dict[str, bytes | None] = {}
    for begin in range(0, len(wanted), 500):
        query = select(Blob.sha256, Blob.bytes).where(Blob.sha256.in_(wanted[begin : begin + 500]))
        found.update(session.execute(query).tuples().all())
    for row, name, sha in named:
        row[name] = found.get(sha)
    return held


def _sha(value: Any) -> str | None:
    if isinstance(value, dict) and set(value) == {"blob"}:
        return str(value["blob"]).removeprefix("sha256:")
    return None
