"""The log of acts as a file, for whoever may read it; that they took it stands in it."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import anyio
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from app.ui.door import Door
from review_queue import acts, preferences, projects
from review_queue.activity import Actor
from review_queue.acts import COLUMNS, Row, Wanted
from review_queue.errors import Refused
from review_queue.preferences import Preferences
from review_queue.projects import Setting

TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How text begins that a spreadsheet would compute."""


def routes(door: Door) -> list[BaseRoute]:
    """`/activity.csv` and `/activity.jsonl`, with the project and the filters of the page in the address."""

    async def give(request: Request) -> Response:
        actor = await door.who(request)
        if actor is None:
            return PlainTextResponse("Sign in first.", 401)
        try:
            return await anyio.to_thread.run_sync(_given, door, actor, request)
        except Refused as error:
            return PlainTextResponse(f"{str(error)[:1].upper()}{str(error)[1:]}.", error.status)

    return [Route(f"/activity.{format}", give) for format in TYPES]


def _given(door: Door, actor: Actor, request: Request) -> Response:
    database, format = door.workspace.database, request.url.path.rpartition(".")[2]
    wanted = Wanted.read(request.query_params)
    setting, here, chosen = database.read(_place, actor, request.query_params.get("project", ""))
    zone = preferences.zone(chosen, request.query_params.get("zone"), setting.project.zone)
    rows = acts.take_out(database, setting, here, wanted, zone, format)
    headers = {"Content-Disposition": f'attachment; filename="{setting.name}-activity.{format}"', "Cache-Control": "no-store"}
    return StreamingResponse(_lines(rows, format), media_type=TYPES[format], headers=headers)


def _place(session: Session, actor: Actor, project: str) -> tuple[Setting, Actor, Preferences]:
    setting = projects.get(session, project, by=actor)
    return setting, actor.within(setting.id), preferences.of(session, actor.id)


def _lines(rows: Iterator[Row], format: str) -> Iterator[str]:
    if format == "csv":
        yield _csv(COLUMNS)
    for row in rows:
        held = acts.plain(row)
        yield _csv([_cell(held[name]) for name in COLUMNS]) if format == "csv" else json.dumps(held, ensure_ascii=False) + "\n"


def _csv(cells: Any) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def _cell(value: Any) -> str:
    """A value as CSV has it: details as JSON, and nothing that a spreadsheet would compute."""
    shown = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{shown}" if shown.startswith(FORMULA) else shown
