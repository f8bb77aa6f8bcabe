"""What a person says of a held case, once for each key."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.orm import Session

from app.again import once_more
from app.api import bodies, holds, shapes
from app.api.access import Here, Reviewer
from app.api.claims import shown
from app.api.problems import listed
from review_queue import cases, decisions
from review_queue.activity import Actor
from review_queue.claims import MOST
from review_queue.decisions import Said, Stored

BigId = Annotated[int, Path(ge=1, le=2**63 - 1)]
router = APIRouter(tags=["decisions"], route_class=bodies.StrictRoute)


@router.post("/tasks/{task_id}/answer", summary="Answer a blind case first", responses=listed(409, 422))
def post_answer(here: Here, actor: Reviewer, task_id: BigId, said: shapes.AnswerIn) -> shapes.Answered:
    """The first answer of a blind case: stored once, never changed. The reply shows the case again, now with the prediction
    and its reasons; then decide: accept, or keep what you said with `correct`."""
    return once_more(here.database, _answer, actor, task_id, said)


@router.post(
    "/tasks/{task_id}/decisions",
    status_code=201,
    summary="Decide, and take the next",
    responses={**listed(409, 422), 200: {"model": shapes.Decided, "description": "This key came before: the stored reply."}},
)
def post_decision(
    here: Here,
    actor: Reviewer,
    task_id: BigId,
    said: shapes.DecisionIn,
    response: Response,
    hold: Annotated[int, Query(ge=0, le=MOST, description="How many cases to hold afterwards.")] = 0,
    session: Annotated[
        shapes.SessionName | None, Query(description="Hold them in this session; that of the token where left out.")
    ] = None,
) -> shapes.Decided:
    """A verdict on a case that you hold. With `hold`, the next cases come with the reply, in the same transaction. A retry
    with the same key gets the stored reply and changes nothing."""
    stored, claims = once_more(here.database, _decide, actor, task_id, said, hold, session)
    if stored.repeated:
        response.status_code = 200
    return shapes.Decided(decision=shapes.Decision.model_validate(stored), claims=claims)


@router.post("/decisions/{decision_id}/undo", summary="Take a decision back", responses=listed(404, 422))
def post_undo(here: Here, actor: Reviewer, decision_id: BigId, wish: shapes.UndoIn | None = None) -> shapes.Undone:
    """Your own last answer or skip of a case, which you then hold again. What has not left the house is withdrawn; what has
    stands until you decide anew."""
    return here.database.write(_undo, actor, decision_id, wish.session if wish else None)


def _answer(session: Session, actor: Actor, task_id: int, said: shapes.AnswerIn) -> shapes.Answered:
    label = None if said.reject else said.label
    stored = decisions.answer(session, actor, task_id, said.token, said.key, label, said.seconds)
    return shapes.Answered(answer=shapes.Decision.model_validate(stored), claim=_held(session, actor, task_id))


def _decide(
    session: Session, actor: Actor, task_id: int, body: shapes.DecisionIn, hold: int, name: str | None
) -> tuple[Stored, list[shapes.Case]]:
    shown_to = tuple(body.reasons_shown) if body.reasons_shown is not None else None
    given = (body.key, body.verdict, body.label, body.reason, body.comment, body.seconds)
    said = Said(*given, reasons_shown=shown_to, reasons_opened=body.reasons_opened)
    stored = decisions.decide(session, actor, task_id, body.token, said)
    if not hold:
        return stored, []
    setting = holds.setting_of(session, task_id)
    taken = cases.take(session, setting, actor, name or holds.session_of(session, actor, body.token), hold)
    return stored, [shown(setting, case) for case in taken]


def _undo(session: Session, actor: Actor, decision_id: int, name: str | None) -> shapes.Undone:
    task_id = decisions.undo(session, actor, decision_id, session_name=name)
    return shapes.Undone(task_id=str(task_id), claim=_held(session, actor, task_id))


def _held(session: Session, actor: Actor, task_id: int) -> shapes.Case | None:
    found = holds.case_of(session, actor, task_id)
    return shown(*found) if found is not None else None
