"""Erasing the content of items, by whoever may administrate."""

from fastapi import APIRouter
from sqlalchemy.orm import Session

from app.api import bodies, shapes
from app.api.access import Admin, Here, Standing
from app.api.problems import listed
from contract.inputs import InputError
from retrain import erasing
from review_queue import erasure
from review_queue.activity import Actor
from review_queue.errors import Invalid, NotFound
from review_queue.projects import Setting

router = APIRouter(tags=["items"], route_class=bodies.StrictRoute)


@router.post("/projects/{project}/erasures", summary="Erase items", status_code=202, responses=listed(403, 404, 422))
def post_erasures(here: Here, actor: Admin, held: Standing, asked: shapes.ErasureIn) -> shapes.Erasure:
    """For owners: the content of items is gone for good once this is answered, of all or of none; what was decided stays. A job
    takes their rows out of dataset versions and models. Erasing again takes up what broke off."""
    begun = here.database.write(_begin, held, asked, actor)
    items = [shapes.ErasedOut.model_validate(each) for each in begun.items]
    return shapes.Erasure(items=items, job=None if begun.job is None else str(begun.job))


def _begin(session: Session, held: Setting, asked: shapes.ErasureIn, actor: Actor) -> erasing.Begun:
    erasure.require_owner(actor)
    wanted = asked.external_ids if asked.subject is None else _of_subject(session, held, asked.subject)
    return erasing.begin(session, held, wanted, why=asked.why, by=actor)


def _of_subject(session: Session, held: Setting, subject: str) -> list[str]:
    try:
        found = erasure.of_subject(session, held, subject)
    except InputError as error:
        raise Invalid(str(error)) from None
    if not found:
        raise NotFound(f"{held.project.heading} has no {held.project.noun} of this subject")
    return found
