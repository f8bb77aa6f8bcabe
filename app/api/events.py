"""What has happened, in sequence, for producers that poll."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from app.api import bodies, shapes
from app.api.access import Follower, Here, Standing
from app.api.problems import listed
from review_queue import events

router = APIRouter(tags=["events"], route_class=bodies.StrictRoute)


@router.get("/projects/{project}/events", summary="Follow what happens", responses=listed(422))
def get_events(
    here: Here,
    actor: Follower,
    held: Standing,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="The `next` of the last call; 0 from the beginning.")] = 0,
    limit: Annotated[int, Query(ge=1, le=events.BATCH)] = 100,
) -> shapes.Events:
    """Outcomes, revisions, failures and the rest, each at least once and in order. Keep `next` and send it as `after`. What a
    person decided appears once the undo window has passed."""
    if here.database.read(events.is_ready):
        here.database.write(events.sequence)
    return here.database.read(_page, held.id, after, limit)


def _page(session: Session, project_id: int, after: int, limit: int) -> shapes.Events:
    found = events.after(session, project_id, after, limit=limit + 1)
    page = [shapes.Event.model_validate(each) for each in found[:limit]]
    return shapes.Events(events=page, next=page[-1].seq if page else str(after), more=len(found) > limit)
