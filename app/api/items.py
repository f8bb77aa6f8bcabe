"""Items in, and the record of one."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from app.api import bodies, images, shapes
from app.api.access import Here, Producer, Reader, Standing
from app.api.problems import listed, plain
from app.workspace import Workspace
from contract.canonical import digest
from contract.inputs import MAX_ID, InputError
from contract.project import Project
from db import blobs
from review_queue import activity, intake, openings
from review_queue.activity import Actor
from review_queue.intake import Receipt, Submission
from review_queue.projects import Setting

MOST_WAIT = 30
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 0.5
_EXAMPLE = {"items": [{"external_id": "C-1042", "input": {"amount": 120.5, "region": "north"}}]}
_BODY = {
    "required": True,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Items"}, "example": _EXAMPLE}},
}
router = APIRouter(tags=["items"], route_class=bodies.StrictRoute)
Checked = tuple[Submission, list[images.Piece]]


@router.post(
    "/projects/{project}/items",
    status_code=202,
    summary="Send items",
    response_model_exclude_none=True,
    responses=listed(400, 413, 415, 422, 429),
    openapi_extra={"requestBody": _BODY},
)
async def post_items(
    request: Request,
    here: Here,
    actor: Producer,
    held: Standing,
    wait: Annotated[float, Query(ge=0, le=MOST_WAIT, description="Seconds to wait until all are routed.")] = 0,
) -> shapes.Receipts:
    """Up to 1,000 items, each answered for itself: a bad one does not reject the others. Once an item is answered as
    `received` it is kept. The same id with the same content again adds nothing and gets the answer that stands; with other
    content it is a `conflict`. With `wait`, the reply comes as soon as every item is routed."""
    raw = bodies.rows_of(await bodies.read_json(request), "items", "external_id and input")
    receipts = await run_in_threadpool(_take, here, held, actor, raw)
    if wait:
        receipts = await _routed(request, here, held, receipts, wait)
    return shapes.Receipts(items=[shapes.Receipt.model_validate(receipt) for receipt in receipts])


@router.get(
    "/projects/{project}/items/{external_id:path}", summary="The record of an item", responses=listed(404), name="get_item"
)
def get_item(
    here: Here,
    actor: Reader,
    held: Standing,
    external_id: Annotated[str, Path(max_length=MAX_ID)],
    revision: Annotated[int | None, Query(ge=1, lt=2**31, description="An earlier one; that which stands if left out.")] = None,
) -> shapes.Record:
    """Everything that is known of one item: input, predictions, routes, draws, decisions, outcomes, events, reasons and
    who did what. Refused while the caller is among those who may still answer it blind."""
    record = openings.record(here.database, held, external_id.replace("\x00", "\ufffd"), by=actor, revision=revision)
    return shapes.Record.model_validate(record)


def _take(here: Workspace, held: Setting, actor: Actor, raw: Sequence[Any]) -> list[Receipt]:
    """Check all, keep what is sound in one transaction; a receipt for each, in order."""
    checked = [check(held.project, each) for each in raw]
    sound = [each for each in checked if not isinstance(each, Receipt)]
    kept = iter(here.database.write(_accept, held, actor, sound) if sound else [])
    return [each if isinstance(each, Receipt) else next(kept) for each in checked]


def _accept(session: Session, held: Setting, actor: Actor, sound: Sequence[Checked]) -> list[Receipt]:
    for _, pieces in sound:
        for data, media_type in pieces:
            blobs.put(session, data, media_type)
    receipts = intake.accept(session, held, [submission for submission, _ in sound], by=actor)
    new = len({receipt.external_id for receipt in receipts if receipt.new})
    if new:
        activity.record(session, actor, "items.post", f"project:{held.name}", project_id=held.id, after={"new": new})
    return receipts


def check(project: Project, raw: Any) -> Checked | Receipt:
    """A raw item with the bytes that came in it, or the receipt that says what is wrong with it."""
    try:
        if not isinstance(raw, Mapping):
            raise InputError("item", "must be an object with external_id and input")
        changed, pieces = images.take_out(project, raw, digest)
        return intake.check(project, changed), pieces
    except (ValueError, OverflowError, RecursionError) as error:
        return Receipt(_id_of(raw), "invalid", problem=plain(str(error)))


def _id_of(raw: Any) -> str:
    """The id under which a bad item is answered: its own where it has one."""
    given = raw.get("external_id") if isinstance(raw, Mapping) else None
    return plain(str(given), MAX_ID) if isinstance(given, (str, int)) and not isinstance(given, bool) else ""


async def _routed(request: Request, here: Workspace, held: Setting, receipts: list[Receipt], wait: float) -> list[Receipt]:
    """The receipts once all are routed, or when the time is over; no transaction is held in between."""
    until, pause = time.monotonic() + wait, _FIRST_PAUSE
    while open_ids := [receipt.external_id for receipt in receipts if receipt.state == "received"]:
        left = until - time.monotonic()
        if left <= 0 or await request.is_disconnected():
            break
        await anyio.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE)
        found = await run_in_threadpool(here.database.read, intake.standing, held.id, open_ids)
        receipts = [_newer(receipt, found) for receipt in receipts]
    return receipts


def _newer(receipt: Receipt, found: Mapping[str, Receipt]) -> Receipt:
    if receipt.state != "received" or receipt.external_id not in found:
        return receipt
    return replace(found[receipt.external_id], new=receipt.new)
