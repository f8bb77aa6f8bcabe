"""Models in shadow as the command line and the API print them."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy.orm import Session

from review_queue import challenges, differences
from review_queue.challenges import Challenge

Id = Annotated[str, BeforeValidator(str), Field(examples=["17"])]


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class PartOut(_Out):
    """Cases on which the two differ, by right label or group: `acting` alone was right, `beside` alone, or neither."""

    by: str
    value: str
    acting: int
    beside: int
    neither: int


class DayOut(_Out):
    """A day (UTC), with the evidence as of its end."""

    day: date
    n: int
    agreed: int
    log_e: float


class FiguresOut(_Out):
    """What was seen so far. `difference`: by how much more often the model in shadow is wrong; `low` and `high` hold at all
    times. `log_e`: that it is wrong less often, `log_e_worse`: more often; a fact at `line`.
    """

    n: int
    agreed: int
    silent: int
    waiting: int
    judged: int
    open: int
    late: int
    unseen: int
    whole: PartOut
    difference: float | None
    low: float
    high: float
    log_e: float
    log_e_worse: float
    line: float
    parts: list[PartOut]
    days: list[DayOut]


class ShadowOut(_Out):
    """A model that predicts beside the one that acts, `against`. `share`: of what they differ on that people look at."""

    id: Id
    kind: Literal["challenger", "former"]
    version: int
    against: int
    share: float
    begun_at: datetime
    until: datetime | None
    ended_at: datetime | None
    ended_as: str | None
    figures: FiguresOut


class ShadowsOut(BaseModel):
    shadows: list[ShadowOut]


def shadow_out(session: Session, stood: Challenge) -> ShadowOut:
    """One with its figures."""
    told: dict[str, Any] = {name: getattr(stood, name) for name in ShadowOut.model_fields if name != "figures"}
    return ShadowOut(**told, figures=FiguresOut.model_validate(differences.figures(session, stood.id)))


def shadows_out(session: Session, project_id: int) -> ShadowsOut:
    """Those that stand."""
    return ShadowsOut(shadows=[shadow_out(session, each) for each in challenges.standing(session, project_id)])
