"""What later proved true, told by whoever learns of it."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from app.api import bodies, shapes
from app.api.access import Here, Producer, Standing
from app.api.problems import listed, plain
from app.workspace import Workspace
from contract.inputs import MAX_ID
from contract.project import Project
from review_queue import truths
from review_queue.activity import Actor
from review_queue.projects import Setting
from review_queue.truths import Receipt, Told

_EXAMPLE = {"truths": [{"external_id": "C-1042", "label": "deny", "known_at": "2026-11-28", "source": "chargeback"}]}
_BODY = {
    "required": True,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Truths"}, "example": _EXAMPLE}},
}
router = APIRouter(tags=["items"], route_class=bodies.StrictRoute)


@router.post(
    "/projects/{project}/truths",
    summary="Tell what proved true",
    response_model_exclude_none=True,
    responses=listed(400, 413, 415, 422),
    openapi_extra={"requestBody": _BODY},
)
async def post_truths(request: Request, here: Here, actor: Producer, held: Standing) -> shapes.TruthReceipts:
    """Up to 1,000 truths, each answered for itself: a bad one does not reject the others. The same again adds nothing. What
    turned out last stands; `conflict` names another label that was told. No decision changes."""
    raw = bodies.rows_of(await bodies.read_json(request), "truths", "external_id and label")
    receipts = await run_in_threadpool(_take, here, held, actor, raw)
    return shapes.TruthReceipts(truths=[shapes.TruthReceipt.model_validate(receipt) for receipt in receipts])


def _take(here: Workspace, held: Setting, actor: Actor, raw: list[Any]) -> list[Receipt]:
    """Check all, keep what is sound in one transaction; a receipt for each, in order."""
    checked = [_checked(held.project, each) for each in raw]
    sound = [each for each in checked if isinstance(each, Told)]
    kept = iter(here.database.write(truths.keep, held, sound, by=actor) if sound else [])
    return [next(kept) if isinstance(each, Told) else each for each in checked]


def _checked(project: Project, raw: Any) -> Told | Receipt:
    try:
        return truths.check(project, raw)
    except (ValueError, OverflowError) as error:
        given = raw.get("external_id") if isinstance(raw, Mapping) else None
        return Receipt(plain(given, MAX_ID) if isinstance(given, str) else "", "invalid", plain(str(error)))
