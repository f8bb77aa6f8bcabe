"""What the gate found of a challenger: kept for good, the latest counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, insert, select
from sqlalchemy.orm import Session, aliased

from db.tables import Gate, Model
from review_queue import clock, steps
from review_queue.activity import Actor

FRESH = timedelta(days=30)
"""How long a passed gate lets a model be proposed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One look at the gate: a challenger against the model that acted then. `watermark`: items before it were counted.

    `figures` as gate.run tells them; JSON-ready.
    """

    id: int
    model_id: int
    version: int
    against_id: int
    against: int
    watermark: int
    passed: bool
    figures: Mapping[str, Any]
    made_at: datetime

    @property
    def said(self) -> str:
        """In one sentence, what was found."""
        return str(self.figures["said"])

    @property
    def missing(self) -> tuple[str, ...]:
        """What keeps it from being offered, with its numbers, in words; empty where nothing does."""
        return tuple(self.figures["missing"])

    @property
    def fresh(self) -> bool:
        """Whether it is recent enough for a proposal to rest on it."""
        return self.made_at > clock.now() - FRESH


def keep(
    session: Session, project_id: int, pair: tuple[int, int], watermark: int, figures: Mapping[str, Any], by: Actor | None
) -> Verdict:
    """Store a look at the gate. `pair`: ids of the challenger and of the model that acts."""
    row = {
        "project_id": project_id,
        "model_id": pair[0],
        "against_id": pair[1],
        "watermark": watermark,
        "passed": bool(figures["passed"]),
        "figures": dict(figures),
        "code_version": steps.code_version(),
        "made_at": clock.now(),
        "made_by": by.id if by else None,
    }
    gate_id = session.scalars(insert(Gate).returning(Gate.id), row).one()
    return _verdict(*session.execute(_query().where(Gate.id == gate_id)).one())


def latest(session: Session, model_id: int, against_id: int | None = None) -> Verdict | None:
    """The newest look at a challenger; `against_id`: against this model alone."""
    query = _query().where(Gate.model_id == model_id).order_by(Gate.id.desc()).limit(1)
    row = session.execute(query if against_id is None else query.where(Gate.against_id == against_id)).first()
    return _verdict(*row) if row is not None else None


def _query() -> Select[Gate, int, int]:
    theirs, other = aliased(Model), aliased(Model)
    query = select(Gate, theirs.version, other.version).join(theirs, theirs.id == Gate.model_id)
    return query.join(other, other.id == Gate.against_id)


def _verdict(row: Gate, version: int, against: int) -> Verdict:
    return Verdict(
        id=row.id,
        model_id=row.model_id,
        version=version,
        against_id=row.against_id,
        against=against,
        watermark=row.watermark,
        passed=row.passed,
        figures=row.figures,
        made_at=row.made_at,
    )
