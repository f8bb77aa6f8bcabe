"""What people signed for, kept beside the control row of a project: terms, and how far each unit has climbed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.tables import ProjectControl
from review_queue.terms import Terms

Rung = Literal["assist", "audited", "floor"]
RUNGS: tuple[Rung, ...] = ("assist", "audited", "floor")


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a unit has climbed: from `threshold` on it acts alone, and `rate` of that is spot-checked.

    `since` it stands on this rung; `threshold_since` this threshold acts, on whatever rung.
    """

    level: Rung
    threshold: float | None = None
    rate: float = 1.0
    since: datetime | None = None
    threshold_since: datetime | None = None

    @property
    def acts(self) -> bool:
        return self.level != "assist"

    def to_json(self) -> dict[str, Any]:
        times = {"since": self.since, "threshold_since": self.threshold_since}
        said = {name: at.isoformat() if at else None for name, at in times.items()}
        return {"level": self.level, "threshold": self.threshold, "rate": self.rate, **said}

    @classmethod
    def of_json(cls, body: Mapping[str, Any]) -> "Standing":
        times = [datetime.fromisoformat(body[name]) if body.get(name) else None for name in ("since", "threshold_since")]
        return cls(cast(Rung, body["level"]), body["threshold"], body["rate"], *times)


ASSIST = Standing("assist")


@dataclass(frozen=True, slots=True)
class Permit:
    """`units` names those that have climbed; the others stand at assist. `shadow`: people are shown nothing of the model.

    `kept`: conditions under which nothing acts alone, since a label or group was found to be wrong too often.
    """

    terms: Terms
    units: Mapping[str, Standing] = field(default_factory=dict)
    shadow: bool = False
    kept: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        units = {name: standing.to_json() for name, standing in self.units.items()}
        return {"terms": self.terms.to_json(), "units": units, "shadow": self.shadow, "kept": list(self.kept)}

    @classmethod
    def of_json(cls, body: Mapping[str, Any]) -> "Permit":
        units = {name: Standing.of_json(each) for name, each in body["units"].items()}
        return cls(Terms.of_json(body["terms"]), units, body["shadow"], tuple(body.get("kept", ())))


def read(session: Session, project_id: int) -> Permit | None:
    """None: of a project set up before permits were kept; then what its policy asks for counts as granted."""
    body = session.scalar(select(ProjectControl.permit).where(ProjectControl.project_id == project_id))
    return Permit.of_json(body) if body is not None else None


def write(session: Session, project_id: int, permit: Permit) -> None:
    """The caller renews the rule."""
    values = {"permit": permit.to_json()}
    session.execute(update(ProjectControl).where(ProjectControl.project_id == project_id).values(values))
    session.expire_all()
