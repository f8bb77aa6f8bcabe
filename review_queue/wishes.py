"""The policies that a project has had: what its owners wished for, and since when."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from contract.policy import Policy
from db.tables import Person, PolicyVersion

LATEST = 50


@dataclass(frozen=True, slots=True)
class Wish:
    """One policy as it was applied."""

    id: int
    policy: Policy
    by: str | None
    at: datetime


def latest(session: Session, project_id: int, limit: int = LATEST) -> Sequence[Wish]:
    """Newest first."""
    query = (
        select(PolicyVersion.id, PolicyVersion.body, Person.name, PolicyVersion.applied_at)
        .outerjoin(Person, Person.id == PolicyVersion.applied_by)
        .where(PolicyVersion.project_id == project_id)
        .order_by(PolicyVersion.id.desc())
        .limit(limit)
    )
    return [
        Wish(id_, Policy.model_validate_json(json.dumps(body)), by, at) for id_, body, by, at in session.execute(query).tuples()
    ]
