"""The deck's own routes: what it says comes in, the next cases go out. Same cookie as the pages, same rules beneath."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from app.ui import calm, frame
from app.ui.calm import AWAY
from app.ui.deck import dealing
from app.ui.deck.dealing import Ask, Look, Table, Wish
from app.workspace import Workspace
from review_queue import preferences, projects
from review_queue.activity import Actor
from review_queue.errors import Refused
from review_queue.preferences import Preferences
from review_queue.projects import Setting

Who = Callable[[Request], Awaitable[Actor | None]]
MOST = 2_000_000
"""Bytes of one request."""


class Deck:
    """`POST /desk/{project}` takes what was said and deals; `/look` draws a case anew; `/ask` asks for more reasons."""

    def __init__(self, workspace: Workspace, who: Who) -> None:
        self.workspace, self.who = workspace, who

    def routes(self) -> list[BaseRoute]:
        doors: dict[str, tuple[Any, Any]] = {"": (Wish, dealing.deal), "/look": (Look, dealing.look), "/ask": (Ask, dealing.ask)}
        return [Route(f"/desk/{{project}}{path}", self._door(*each), methods=["POST"]) for path, each in doors.items()]

    def _door(self, kind: Any, serve: Callable[[Table, Any], dict[str, Any]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                return await self._answer(request, kind, serve)
            except AWAY:
                return _refusal(503, calm.AWAY_SAYS)

        return answer

    async def _answer(self, request: Request, kind: Any, serve: Callable[[Table, Any], dict[str, Any]]) -> Response:
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            return _refusal(415, "This door takes JSON.")
        actor = await self.who(request)
        if actor is None:
            return _refusal(401, "You are signed out.")
        given = await _body(request)
        try:
            wish = kind.model_validate(given)
        except ValueError:
            return _refusal(422, "This page does not speak as this version of Signoff does; load it anew.")
        name = request.path_params["project"]
        return await anyio.to_thread.run_sync(self._serve, actor, name, wish, serve)

    def _serve(self, actor: Actor, name: str, wish: Any, serve: Callable[[Table, Any], dict[str, Any]]) -> Response:
        try:
            database = self.workspace.database
            return _told(200, serve(dealing.table(database, *database.read(_place, actor, name), wish), wish))
        except Refused as error:
            return _refusal(error.status, str(error))


def _place(session: Session, actor: Actor, name: str) -> tuple[Setting, Actor, Preferences]:
    setting = projects.get(session, name, by=actor)
    return setting, actor.within(setting.id), preferences.of(session, actor.id)


async def _body(request: Request) -> Any:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST:
            return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _told(status: int, said: Mapping[str, Any]) -> Response:
    return JSONResponse({"build": frame.build(), **said}, status, {"Cache-Control": "no-store"})


def _refusal(status: int, sentence: str) -> Response:
    return _told(status, {"message": sentence})
