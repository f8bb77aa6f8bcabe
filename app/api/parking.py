"""Cases put aside and brought back."""

from fastapi import APIRouter, Response

from app.api import bodies, shapes
from app.api.access import Here, Reviewer, Standing
from app.api.decisions import BigId
from app.api.problems import listed
from review_queue import parking

router = APIRouter(tags=["claims"], route_class=bodies.StrictRoute)


@router.post("/tasks/{task_id}/park", summary="Put a case aside", responses=listed(409, 422))
def post_park(here: Here, actor: Reviewer, task_id: BigId, wish: shapes.ParkIn) -> shapes.Parked:
    """A case that you hold waits until a moment, or until its item changes where `until` is left out; then it is yours first
    for a working day. Not after a blind first answer."""
    stored = here.database.write(parking.park, actor, task_id, wish.token, wish.until, wish.note)
    return shapes.Parked.model_validate(stored)


@router.post(
    "/tasks/{task_id}/unpark",
    status_code=204,
    summary="Bring a case back",
    responses=listed(403, 404, 409),
    response_class=Response,
)
def post_unpark(here: Here, actor: Reviewer, task_id: BigId) -> None:
    """Back to the queue before its time: yours first where you parked it; for all where a lead brings it back."""
    here.database.write(parking.unpark, task_id, by=actor)


@router.get("/projects/{project}/parked", summary="What is put aside")
def get_parked(here: Here, actor: Reviewer, held: Standing) -> shapes.ParkedCases:
    """What you parked; for leads what everybody did. What comes back next stands first."""
    found = here.database.read(parking.parked, held.id, actor)
    return shapes.ParkedCases(parked=[shapes.Parked.model_validate(each) for each in found])
