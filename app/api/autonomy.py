"""Evidence, and the ladder: what may act alone, what it may rise to, and who lets it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from app.api import bodies, shapes
from app.api.access import Admin, Here, Reader, Standing
from app.api.problems import listed
from app.earned import AutonomyOut, EvidenceOut, StepOut, autonomy_out, evidence_out, step_out
from review_queue import autonomy, evidence, steps
from review_queue.activity import Actor
from review_queue.errors import NotFound
from review_queue.projects import Setting
from review_queue.steps import Step

router = APIRouter(tags=["autonomy"], route_class=bodies.StrictRoute)
UnitName = Annotated[shapes.Text, Field(max_length=1000, description="A segment, `:LABEL`, or both; empty: all other cases.")]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RaiseIn(_In):
    """`threshold`: to this certified one, instead of the lowest that the policy asks for. The unit `*` leaves shadow."""

    unit: UnitName = ""
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None


class LowerIn(_In):
    """`unit` left out: all of them. `shadow`: people are shown nothing of the model."""

    to: Literal["assist", "shadow"] = "assist"
    unit: UnitName | None = None


class Steps(BaseModel):
    steps: list[StepOut]


@router.get("/projects/{project}/evidence", summary="What is proven", responses=listed(404))
def get_evidence(here: Here, actor: Reader, held: Standing) -> EvidenceOut:
    """The open evidence period: every threshold of each unit with its looks, errors, limit and e-value."""
    found = here.database.read(evidence.read, held)
    if found is None:
        raise NotFound("no model acts yet, so there is no evidence")
    return evidence_out(held.name, found)


@router.get("/projects/{project}/autonomy", summary="What may act alone", responses=listed(404))
def get_autonomy(here: Here, actor: Reader, held: Standing) -> AutonomyOut:
    """The rung of each unit, the conditions of its next rise, and the rises that wait for signatures."""
    return autonomy_out(held.name, here.database.read(autonomy.overview, held))


@router.get("/projects/{project}/autonomy/steps", summary="Steps up and down", responses=listed(404))
def get_steps(here: Here, actor: Reader, held: Standing, limit: Annotated[int, Query(ge=1, le=1000)] = steps.LATEST) -> Steps:
    """Newest first, each with its cause, its numbers and who signed it."""
    return Steps(steps=[step_out(each) for each in here.database.read(autonomy.history, held, limit)])


@router.post("/projects/{project}/autonomy/raise", summary="Propose a rise", responses=listed(404, 409, 422))
def post_raise(here: Here, actor: Admin, held: Standing, wanted: RaiseIn) -> StepOut:
    """For owners. Its conditions must be met; it acts once enough people signed, you among them where the key is your own."""
    key = here.keys.draw_key_id
    made = here.database.write(autonomy.raise_unit, held, wanted.unit, by=actor, draw_key_id=key, threshold=wanted.threshold)
    return step_out(made)


@router.post("/projects/{project}/autonomy/steps/{step_id}/sign", summary="Sign a rise", responses=listed(404, 409))
def post_sign(here: Here, actor: Admin, held: Standing, step_id: int) -> StepOut:
    """For owners, by a key of their own: no service signs, and nobody for somebody else."""
    return step_out(here.database.write(_sign, held, step_id, actor, here.keys.draw_key_id))


@router.post("/projects/{project}/autonomy/steps/{step_id}/withdraw", summary="Withdraw a rise", responses=listed(404, 409))
def post_withdraw(here: Here, actor: Admin, held: Standing, step_id: int) -> StepOut:
    """For owners: a rise that waits for signatures is off the table."""
    return step_out(here.database.write(_withdraw, held, step_id, actor))


@router.post("/projects/{project}/autonomy/lower", summary="Take autonomy back", responses=listed(404, 409, 422))
def post_lower(here: Here, actor: Admin, held: Standing, wanted: LowerIn) -> StepOut:
    """For leads and up: people decide every case again, at once."""
    key = here.keys.draw_key_id
    return step_out(here.database.write(autonomy.lower, held, by=actor, draw_key_id=key, to=wanted.to, unit=wanted.unit))


@router.post("/projects/{project}/autonomy/regrant", summary="Ask again for what the policy says", responses=listed(404, 409))
def post_regrant(here: Here, actor: Admin, held: Standing) -> StepOut:
    """For owners: after an alarm took back what the policy asks for, that is put up for signing again."""
    return step_out(here.database.write(autonomy.regrant, held, by=actor, draw_key_id=here.keys.draw_key_id))


def _sign(session: Session, held: Setting, step_id: int, actor: Actor, draw_key_id: int) -> Step:
    _require_of(session, held, step_id, actor)
    return autonomy.sign(session, step_id, by=actor, draw_key_id=draw_key_id)


def _withdraw(session: Session, held: Setting, step_id: int, actor: Actor) -> Step:
    _require_of(session, held, step_id, actor)
    return autonomy.withdraw(session, step_id, by=actor)


def _require_of(session: Session, held: Setting, step_id: int, actor: Actor) -> None:
    if not 0 < step_id < 2**63 or autonomy.project_of(session, step_id, actor) != held.id:
        raise NotFound(f"there is no step {step_id} in {held.name}")
