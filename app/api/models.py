"""Models in shadow, and the way back to the former champion."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from app.api import bodies
from app.api.access import Admin, Here, Reader, Standing
from app.api.problems import listed
from app.beside import Id, ShadowOut, ShadowsOut, shadow_out, shadows_out
from review_queue import challenges
from review_queue.activity import Actor
from review_queue.challenges import Challenge
from review_queue.projects import Setting

router = APIRouter(tags=["models"], route_class=bodies.StrictRoute)


class ShadowIn(BaseModel):
    """`share`: of the cases on which the two differ that people look at; left out: what the policy says."""

    model_config = ConfigDict(extra="forbid")
    version: Annotated[int, Field(ge=1, lt=2**31, examples=[2])]
    share: Annotated[float, Field(ge=0, le=1)] | None = None


class ProposalOut(BaseModel):
    """What was proposed: `applied` acts from the next batch on, `open` waits for `signers` names."""

    id: Id
    kind: Literal["promote", "rollback"]
    version: int
    against: int | None
    state: str
    signers: int
    signed_by: list[str]
    made_at: datetime


@router.get("/projects/{project}/shadow", summary="Models in shadow", responses=listed(404))
def get_shadow(here: Here, actor: Reader, held: Standing) -> ShadowsOut:
    """Those that predict beside the one that acts: how often they differ from it, and who was right then."""
    return here.database.read(shadows_out, held.id)


@router.put("/projects/{project}/shadow", summary="Put a model in shadow", responses=listed(404, 409, 422))
def put_shadow(here: Here, actor: Admin, held: Standing, wanted: ShadowIn) -> ShadowOut:
    """For leads and up: it predicts beside the one that acts, and acts on nothing; another that stood there is replaced."""
    made = here.database.write(_begin, held, wanted, actor)
    return here.database.read(shadow_out, made)


@router.delete("/projects/{project}/shadow", summary="Take a model out of shadow", responses=listed(404))
def delete_shadow(here: Here, actor: Admin, held: Standing) -> ShadowOut:
    """For leads and up: the challenger predicts no more; what it said stays."""
    ended = here.database.write(challenges.end, held, by=actor)
    return here.database.read(shadow_out, ended)


@router.post("/projects/{project}/rollback", summary="Bring the former champion back", responses=listed(404, 409))
def post_rollback(here: Here, actor: Admin, held: Standing) -> ProposalOut:
    """At once while it stands in shadow, by one lead or owner with a key of their own; after that it is proposed, for owners."""
    from retrain import registry

    made = here.database.write(registry.rollback, held.id, by=actor, draw_key_id=here.keys.draw_key_id)
    return ProposalOut.model_validate(made, from_attributes=True)


def _begin(session: Session, held: Setting, wanted: ShadowIn, actor: Actor) -> Challenge:
    model_id = challenges.model_of(session, held, wanted.version)
    return challenges.begin(session, held, model_id, share=wanted.share, by=actor)
