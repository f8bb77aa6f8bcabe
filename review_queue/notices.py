"""Notices: what the owners of a project should know of, on every page until one of them closes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from db.statements import finds
from db.tables import Notice as NoticeRow
from review_queue import activity, clock, events
from review_queue.activity import Actor
from review_queue.errors import Forbidden, NotFound

LATEST = 50


@dataclass(frozen=True, slots=True)
class Notice:
    """`said`: one sentence for people; `figures` what it rests on."""

    id: int
    kind: str
    subject: str
    said: str
    figures: Mapping[str, Any]
    opened_at: datetime
    closed_at: datetime | None


def open_notice(
    session: Session, project_id: int, kind: str, subject: str, said: str, figures: Mapping[str, Any] | None = None
) -> bool:
    """Open one and tell it as an event; False where one of this kind on this subject is open already."""
    here = select(NoticeRow.id).where(NoticeRow.project_id == project_id, NoticeRow.kind == kind, NoticeRow.subject == subject)
    if finds(session, here.where(NoticeRow.closed_at.is_(None))):
        return False
    body = {"said": said, "figures": dict(figures or {})}
    row = {"project_id": project_id, "kind": kind, "subject": subject, "body": body, "opened_at": clock.now()}
    session.execute(insert(NoticeRow).values(row))
    events.announce(session, project_id, "notice.opened", {"kind": kind, "subject": subject, "said": said}, item_id=None)
    return True


def close(session: Session, notice_id: int, *, by: Actor | None) -> Notice:
    """None as `by`: what it spoke of is over. Raises NotFound; Forbidden below owner."""
    row = session.scalar(select(NoticeRow).where(NoticeRow.id == notice_id).with_for_update())
    if row is None:
        raise NotFound(f"there is no notice {notice_id}")
    if by is not None and not by.within(row.project_id).at_least("owner"):
        raise Forbidden(f"{by.name} is a {by.within(row.project_id).role}; notices are closed by owners")
    if row.closed_at is None:
        row.closed_at, row.closed_by = clock.now(), by.id if by else None
        here = by.within(row.project_id) if by else None
        activity.record(session, here, "notice.close", f"notice:{notice_id}", project_id=row.project_id)
        session.flush()
    return _notice(row)


def standing(session: Session, project_id: int, kind: str | None = None) -> Sequence[Notice]:
    """The open ones, newest first."""
    query = select(NoticeRow).where(NoticeRow.project_id == project_id, NoticeRow.closed_at.is_(None))
    query = query if kind is None else query.where(NoticeRow.kind == kind)
    return [_notice(row) for row in session.scalars(query.order_by(NoticeRow.id.desc()).limit(LATEST))]


def latest(session: Session, project_id: int) -> Sequence[Notice]:
    """Open and closed, newest first."""
    query = select(NoticeRow).where(NoticeRow.project_id == project_id).order_by(NoticeRow.id.desc()).limit(LATEST)
    return [_notice(row) for row in session.scalars(query)]


def _notice(row: NoticeRow) -> Notice:
    return Notice(row.id, row.kind, row.subject, row.body["said"], row.body["figures"], row.opened_at, row.closed_at)
