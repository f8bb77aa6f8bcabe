"""Every error as an RFC 9457 problem document with a code for machines and a sentence that says the mend."""

import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import InterfaceError, OperationalError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.shapes import Problem
from db.blobs import BlobTooLarge
from review_queue.errors import Refused

MEDIA_TYPE = "application/problem+json"
CODES = {400: "bad_request", 401: "no_key", 404: "not_found", 405: "method_not_allowed", 413: "too_large", 422: "invalid"}
MOST_ERRORS = 20
_log = logging.getLogger("signoff.api")


class Refusal(HTTPException):
    """What the API itself refuses, before any rule is asked."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.code = code


def document(
    scope: Scope, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """A problem as a response; `more` are further members of the document."""
    body = {
        "type": f"urn:signoff:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": plain(detail),
        "code": code,
        "instance": quote(scope["path"]),
        **more,
    }
    return JSONResponse(body, status, dict(headers or {}), MEDIA_TYPE)


def plain(text: str, most: int = 1000) -> str:
    """Text that fits an answer: no lone surrogate, no longer than it helps."""
    short = text if len(text) <= most else text[: most - 1] + "…"
    return short.encode("utf-8", "replace").decode()


def install(app: FastAPI) -> None:
    """Answer every kind of error with a document."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(BlobTooLarge, _too_large)


def listed(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a call, for its OpenAPI entry."""
    return {status: {"model": Problem, "description": HTTPStatus(status).phrase} for status in statuses}


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = error.code if isinstance(error, Refusal) else CODES.get(error.status_code, "refused")
    detail = error.detail if isinstance(error, Refusal) else _sentence(request, error)
    return document(request.scope, error.status_code, code, detail, error.headers)


def _sentence(request: Request, error: HTTPException) -> str:
    if error.status_code == 404:
        return f"there is no {request.method} {request.url.path}; /api/docs lists what there is"
    if error.status_code == 405:
        return f"{request.method} is not for this address; it takes {(error.headers or {}).get('Allow', 'another method')}"
    return str(error.detail)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else None
    return document(request.scope, error.status, error.code, str(error), headers)


def _too_large(request: Request, error: Exception) -> Response:
    return document(request.scope, 413, "too_large", str(error))


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_place(details) for details in error.errors()[:MOST_ERRORS]]
    detail = "; ".join(f"{each['place']}: {each['problem']}" for each in errors)
    return document(request.scope, 422, "invalid", detail, errors=errors)


def _place(details: Mapping[str, Any]) -> dict[str, str]:
    where = ".".join(str(part) for part in details["loc"])
    said = str(details["msg"]).removeprefix("Value error, ")
    found = {"place": plain(where, 200), "problem": plain(said[:1].lower() + said[1:], 300)}
    given = details.get("input")
    return found if details["type"] == "missing" or given is None else {**found, "value": plain(repr(given), 60)}


class Guard:
    """Around everything: an unforeseen error becomes a document that says nothing of the inside, but for the id in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message = {**message, "headers": [*message.get("headers", []), *_unless_set(message)]}
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            answer = _unforeseen(scope, error)
            if begun:
                raise
            await answer(scope, receive, sending)


def _unless_set(message: Message) -> list[tuple[bytes, bytes]]:
    """No guessing of types, and no copies kept on the way."""
    held = {name.lower() for name, _ in message.get("headers", [])}
    wanted = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
    return [(name, value) for name, value in wanted if name not in held]


def _unforeseen(scope: Scope, error: Exception) -> Response:
    error_id = secrets.token_hex(8)
    route = getattr(scope.get("route"), "path", "")
    _log.error("error %s in %s %s", error_id, scope["method"], route, exc_info=error)
    if isinstance(error, (OperationalError, InterfaceError)):
        detail = f"the database does not answer; try again. The log names this as {error_id}"
        return document(scope, 503, "unavailable", detail, {"Retry-After": "5"}, error_id=error_id)
    detail = f"something went wrong on our side; the log names it as {error_id}"
    return document(scope, 500, "internal", detail, error_id=error_id)
