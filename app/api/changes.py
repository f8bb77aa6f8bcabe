"""Items after they were sent: replaced, cancelled, looked at once more, corrected."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from app.again import once_more
from app.api import bodies, items, shapes
from app.api.access import Asker, Here, Producer, Reviewer, Standing
from app.api.items import Checked
from app.api.problems import Refusal, listed
from contract.inputs import MAX_ID
from db import blobs
from review_queue import decisions, requests, withdrawal
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.intake import Receipt
from review_queue.projects import Setting

ExternalId = Annotated[str, Path(max_length=MAX_ID)]
_EXAMPLE = {"input": {"amount": 99.0, "region": "north"}}
_BODY = {
    "required": True,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ItemContent"}, "example": _EXAMPLE}},
}
router = APIRouter(tags=["items"], route_class=bodies.StrictRoute)


@router.put(
    "/projects/{project}/items/{external_id:path}",
    status_code=202,
    summary="Replace an item",
    response_model_exclude_none=True,
    responses=listed(400, 413, 415, 422, 429),
    openapi_extra={"requestBody": _BODY},
)
async def put_item(request: Request, here: Here, actor: Producer, held: Standing, external_id: ExternalId) -> shapes.Receipt:
    """Other content under an id that was sent: a new revision, scored and routed anew. Open work on the old one ends, an
    answer that comes by an old token is refused, and what waited for its undo window is withdrawn. The content that stands
    changes nothing; a cancelled item is live again; an id that was never sent is taken as new."""
    body = await bodies.read_json(request)
    if not isinstance(body, Mapping) or body.get("external_id", external_id) != external_id:
        raise Refusal(422, "invalid", f"the body must be one item: input and what goes with it, of {external_id!r}")
    checked = items.check(held.project, {**body, "external_id": external_id})
    receipt = checked if isinstance(checked, Receipt) else await run_in_threadpool(_replaced, here, held, actor, checked)
    if receipt.state == "invalid":
        raise Refusal(422, "invalid", receipt.problem or "the item cannot be taken")
    return shapes.Receipt.model_validate(receipt)


@router.delete(
    "/projects/{project}/items/{external_id:path}",
    summary="Cancel an item",
    response_model_exclude_none=True,
    responses=listed(404),
)
def delete_item(here: Here, actor: Producer, held: Standing, external_id: ExternalId) -> shapes.Receipt:
    """Nobody is asked about it any more: open work on it ends, and answers that have not left yet are withdrawn. What was
    said stays on record. Cancelling twice is cancelling once."""
    return shapes.Receipt.model_validate(here.database.write(withdrawal.cancel, held, _plain(external_id), by=actor))


@router.post("/projects/{project}/items/{external_id:path}/review", summary="Ask for a look", responses=listed(404, 409, 422))
def post_review(here: Here, actor: Asker, held: Standing, external_id: ExternalId, asked: shapes.ReviewIn) -> shapes.Asked:
    """One more person looks at an item that acted alone or was decided; another answer of theirs goes out as a `revision`.
    It counts as no evidence. Asking again before somebody looked changes nothing (`new` is false)."""
    return shapes.Asked.model_validate(here.database.write(requests.request, held, _plain(external_id), asked.reason, by=actor))


@router.post(
    "/projects/{project}/items/{external_id:path}/correction",
    summary="Correct what was decided",
    responses=listed(403, 404, 409, 422),
)
def post_correction(
    here: Here, actor: Reviewer, held: Standing, external_id: ExternalId, said: shapes.CorrectionIn
) -> shapes.Decision:
    """For leads: the answer that stands from now on, whatever was said before. It goes out as a `revision`."""
    verdict: decisions.Verdict = "reject" if said.label is None else "correct"
    wanted = Said(said.key, verdict, said.label, said.reason, said.comment)
    stored = once_more(here.database, decisions.revise, held, actor, _plain(external_id), wanted)
    return shapes.Decision.model_validate(stored)


def _replaced(here: Here, held: Setting, actor: Actor, checked: Checked) -> Receipt:
    return here.database.write(_replace, held, actor, checked)


def _replace(session: Session, held: Setting, actor: Actor, checked: Checked) -> Receipt:
    submission, pieces = checked
    for data, media_type in pieces:
        blobs.put(session, data, media_type)
    return withdrawal.replace(session, held, submission, by=actor)


def _plain(external_id: str) -> str:
    """An id without the NUL that no id has."""
    return external_id.replace("\x00", "\ufffd")
