"""Why the model leans where it does, in a case that somebody holds; what may be asked for beyond it, and similar cases."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session

from app.api import bodies, holds, shapes
from app.api.access import Here, Reviewer
from app.api.decisions import BigId
from app.api.problems import listed
from app.similar import LOOKED_AT, Similar
from review_queue import explanations
from review_queue.activity import Actor
from review_queue.cases import Case
from review_queue.errors import AnswerFirst, ClaimExpired, Refused
from review_queue.explanations import Asked
from review_queue.projects import Setting

router = APIRouter(tags=["reasons"], route_class=bodies.StrictRoute)


@router.get("/tasks/{task_id}/explanations", summary="Why the model leans there", responses=listed(409))
def get_explanations(here: Here, actor: Reviewer, task_id: BigId) -> shapes.Explanations:
    """The reasons for the prediction of a case that you hold, and what was asked for; of a blind one after its first answer."""
    return here.database.read(_all, actor, task_id)


@router.post("/tasks/{task_id}/explanations", status_code=202, summary="Ask for another explanation", responses=listed(409, 422))
def post_explanation(here: Here, actor: Reviewer, task_id: BigId, wish: shapes.AskIn) -> shapes.AskedReason:
    """By another method, towards another label or with other numbers. A worker makes it next; look for it with GET. The same
    again is the same one; one that failed is tried once more."""
    return shapes.AskedReason.model_validate(here.database.write(_ask, actor, task_id, wish))


@router.get("/tasks/{task_id}/similar", summary="Similar cases", responses=listed(404, 409))
def get_similar(
    request: Request, here: Here, actor: Reviewer, task_id: BigId, count: Annotated[int, Query(ge=1, le=LOOKED_AT)] = 5
) -> shapes.SimilarOut:
    """The nearest cases that people decided, in the model's own representation, as their answers stand now. Never of a case
    that is blind."""
    _, case = here.database.read(_held, actor, task_id)
    if case.blind:
        raise Refused("this task is blind; what people decided in similar cases is not shown with it")
    similar: Similar = request.app.state.similar
    found = similar.near(case.item_id, case.model_id, count)
    if found is None:
        raise Refused("a worker has not represented this case yet; ask again in a moment")
    return shapes.SimilarOut.model_validate(found)


def _all(session: Session, actor: Actor, task_id: int) -> shapes.Explanations:
    _, case = _open(session, actor, task_id)
    asked = explanations.asked(session, case.item_id, case.model_id)
    return shapes.Explanations(
        explanations=[shapes.Shown.model_validate(each) for each in case.explanations],
        asked=[shapes.AskedReason.model_validate(each) for each in asked],
    )


def _ask(session: Session, actor: Actor, task_id: int, wish: shapes.AskIn) -> Asked:
    setting, case = _open(session, actor, task_id)
    params = {name: value for name in ("samples", "evaluations", "features") if (value := getattr(wish, name)) is not None}
    return explanations.ask(session, setting, case.item_id, method=wish.method, label=wish.label, params=params, by=actor)


def _open(session: Session, actor: Actor, task_id: int) -> tuple[Setting, Case]:
    """A held case whose prediction may be shown. Raises ClaimExpired, AnswerFirst."""
    setting, case = _held(session, actor, task_id)
    if case.prediction is None:
        raise AnswerFirst("this task is answered blind first; its reasons come with the reply to …/answer")
    return setting, case


def _held(session: Session, actor: Actor, task_id: int) -> tuple[Setting, Case]:
    found = holds.case_of(session, actor, task_id)
    if found is None:
        raise ClaimExpired("you do not hold this task; claim it first")
    return found
