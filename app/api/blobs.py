"""Bytes in and out: images and files that items name."""

import re
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from app.api import bodies, holds, images, shapes
from app.api.access import Here, Producer, Standing, Viewer
from app.api.problems import Refusal, listed
from contract.inputs import MAX_ID
from db import blobs as store
from review_queue.activity import Actor
from review_queue.errors import NotFound
from review_queue.projects import Setting

_ACTIVE = re.compile(r"html|xml|svg|script|ecmascript|multipart|pdf", re.IGNORECASE)
router = APIRouter(tags=["items"], route_class=bodies.StrictRoute)
Sha = Annotated[str, Path(pattern=r"^(sha256:)?[0-9a-f]{64}$", description="The SHA-256 in hex.")]
_BYTES = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "/projects/{project}/blobs",
    status_code=201,
    summary="Send bytes",
    responses=listed(413, 415, 422),
    openapi_extra={"requestBody": {"required": True, "content": {"image/png": _BYTES, "application/octet-stream": _BYTES}}},
)
async def post_blob(request: Request, here: Here, actor: Producer, held: Standing) -> shapes.BlobOut:
    """Raw bytes, at most 32 MB; an item then names them as `{"blob": "sha256:…"}`. What is sent as `image/…` must be an
    image of at most 50 megapixels. The same bytes are kept once."""
    data = await request.body()
    if not data:
        raise Refusal(422, "invalid", "the body is empty; send the bytes themselves")
    declared = _declared(request)
    return await run_in_threadpool(_keep, here, data, declared)


@router.get(
    "/projects/{project}/blobs/{sha256}",
    summary="Bytes of an item",
    responses={**listed(404), 200: {"content": {"application/octet-stream": _BYTES}, "description": "The bytes."}},
    response_class=Response,
)
def get_blob(
    here: Here,
    actor: Viewer,
    held: Standing,
    sha256: Sha,
    item: Annotated[str | None, Query(max_length=MAX_ID, description="external_id of the item that names them.")] = None,
) -> Response:
    """The bytes that a case you hold shows; with `item`, those of any item of the project."""
    data, media_type = here.database.read(_read, held, actor, sha256.removeprefix("sha256:"), item)
    headers = {
        "Content-Disposition": f'attachment; filename="{sha256[-64:-48]}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(data, headers=headers, media_type=_harmless(media_type))


def _declared(request: Request) -> str:
    given = request.headers.get("content-type", images.UNKNOWN).partition(";")[0].strip().lower()
    if not images.MEDIA_TYPE.fullmatch(given):
        raise Refusal(415, "wrong_media_type", f"{given[:80]!r} is no media type; send one such as image/png")
    return given


def _keep(here: Here, data: bytes, media_type: str) -> shapes.BlobOut:
    if media_type.startswith("image/"):
        try:
            media_type = images.media_type_of(data)
        except ValueError as error:
            raise Refusal(422, "bad_image", f"the body {error}") from None
    sha = here.database.write(store.put, data, media_type)
    return shapes.BlobOut(blob=f"sha256:{sha}", media_type=media_type, size=len(data))


def _read(session: Session, held: Setting, actor: Actor, sha: str, item: str | None) -> tuple[bytes, str]:
    named = holds.item_has_blob(session, held, item.replace("\x00", "\ufffd"), sha) if item is not None else False
    found = store.get(session, sha) if named or holds.holds_blob(session, held, actor, sha) else None
    if found is None:
        raise NotFound("no case that you hold names these bytes; name another item with ?item=EXTERNAL_ID")
    return found


def _harmless(media_type: str) -> str:
    """A type under which a browser runs nothing."""
    return images.UNKNOWN if _ACTIVE.search(media_type) else media_type
