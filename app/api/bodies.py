"""Request bodies: how large they may be, and JSON that is read to the letter."""

import json
import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import Refusal, document
from app.api.shapes import MOST_ITEMS

SMALL = 2**20
LARGE = 32 * 2**20
_LARGE_ONES = re.compile(r"/v1/projects/[^/]+/(?:items|blobs|truths)")
_JSON = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)


class BodyLimit:
    """Refuses a body as soon as it is, or says it is, larger than its address takes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = limit(scope["path"])
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdigit() and int(declared) > most:
            await document(scope, 413, "too_large", _too_large(most))(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise Refusal(413, "too_large", _too_large(most))
            return message

        await self.app(scope, counted, send)


def limit(path: str) -> int:
    """Bytes that a request to this path may bring."""
    return LARGE if _LARGE_ONES.search(path) else SMALL


def parse(data: bytes) -> Any:
    """JSON as RFC 8259 has it. Raises Refusal with the place."""
    try:
        return json.loads(data.decode(), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise Refusal(400, "not_utf8", f"the body is not UTF-8 (byte {error.start}); send it as UTF-8") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise Refusal(400, "not_json", f"the body is not JSON: {error.msg.lower()} at {place}") from None
    except (RecursionError, ValueError):
        raise Refusal(400, "not_json", "the body is nested too deep or holds a number of thousands of digits") from None


async def read_json(request: Request) -> Any:
    """The JSON body of a request. Raises Refusal for another content type, an empty body, and what is not JSON."""
    data = await request.body()
    if not data:
        raise Refusal(422, "invalid", "the body is empty; send JSON")
    require_json(request)
    return parse(data)


def rows_of(body: Any, name: str, parts: str) -> list[Any]:
    """The list that a body holds under a name and nothing else, of 1 to MOST_ITEMS; `parts`: what each has. Raises Refusal."""
    if not isinstance(body, Mapping) or not isinstance(body.get(name), list) or len(body) != 1:
        raise Refusal(422, "invalid", f'the body must be {{"{name}": [...]}}, each with {parts}, and nothing else')
    rows: list[Any] = body[name]
    if not rows:
        raise Refusal(422, f"no_{name}", f"{name} is empty; send at least one")
    if len(rows) > MOST_ITEMS:
        detail = f"{len(rows):,} {name} are more than the {MOST_ITEMS:,} of one request; send them in parts"
        raise Refusal(422, f"too_many_{name}", detail)
    return rows


def require_json(request: Request) -> None:
    given = request.headers.get("content-type", "")
    if not _JSON.fullmatch(given.strip()):
        shown = f"not {given!r}" if given else "and none was named"
        raise Refusal(415, "wrong_media_type", f"the body must come as Content-Type: application/json, {shown}")


class StrictRoute(APIRoute):
    """A route whose JSON body is read by `parse`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        has_body = self.body_field is not None

        async def strict(request: Request) -> Response:
            wrapped = _StrictRequest(request.scope, request.receive)
            if has_body and await wrapped.body():
                require_json(wrapped)
            return await handle(wrapped)

        return strict


class _StrictRequest(Request):
    async def json(self) -> Any:
        return parse(await self.body())


def _refuse_constant(name: str) -> NoReturn:
    raise Refusal(400, "not_json", f"the body holds {name}, which JSON does not know; send null where a value is missing")


def _too_large(most: int) -> str:
    return f"the body is larger than the {most // 2**20} MB that this address takes; send it in parts"
