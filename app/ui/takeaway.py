"""The numbers of Insights as files, for whoever may see the page; who took which is noted."""

from datetime import date

import anyio
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from app.report import pictures
from app.ui import look
from app.ui.door import Door
from app.ui.draw import autonomy as climbed
from app.ui.draw import judging as drawn
from app.ui.draw.numbers import Table
from contract.files import nearest
from review_queue import acted, activity, judging, periods, projects, steps
from review_queue.activity import Actor
from review_queue.errors import NotFound
from review_queue.periods import Period
from review_queue.projects import Setting

NAMES = (*look.NAMES, drawn.NAME, climbed.STEPS, climbed.ERRORS)


def routes(door: Door) -> list[BaseRoute]:
    """`/csv/PROJECT/FIGURE?period=30 days`, or `?from=2026-11-01&to=2026-11-20`."""

    async def give(request: Request) -> Response:
        actor = await door.who(request)
        if actor is None:
            return PlainTextResponse("Sign in first.", 401)
        try:
            name, body = await anyio.to_thread.run_sync(door.workspace.database.write, take, *_asked(request), actor)
        except NotFound as error:
            return PlainTextResponse(f"{error}.", 404)
        except ValueError as error:
            return PlainTextResponse(f"{error}.", 400)
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return Response(body.encode(), media_type="text/csv; charset=utf-8", headers=headers)

    return [Route("/csv/{project}/{figure}", give)]


def _asked(request: Request) -> tuple[str, str, str | None, str | None, str | None]:
    given = request.query_params
    held = request.path_params
    return held["project"], held["figure"], given.get("period"), given.get("from"), given.get("to")


def take(
    session: Session, project: str, figure: str, name: str | None, first: str | None, last: str | None, actor: Actor
) -> tuple[str, str]:
    """The file's name and what is in it. Raises NotFound, also for a project that is closed to them; ValueError for no period."""
    setting = projects.get(session, project, by=actor)
    actor = actor.within(setting.id)
    if figure not in NAMES:
        raise NotFound(f"there is no figure {figure!r}{nearest(figure, NAMES)}")
    period = periods.period(name, first, last)
    body = _table(session, setting, period, figure, actor).csv()
    taken = {"figure": figure, "from": period.first.isoformat(), "to": period.last.isoformat()}
    activity.record(session, actor, "insights.take", f"figure:{figure}", project_id=setting.id, after=taken)
    return _file(setting.name, figure, period.first, period.last), body


def _table(session: Session, setting: Setting, period: Period, figure: str, actor: Actor) -> Table:
    if figure == drawn.NAME:  # which people it tells of is for whoever asks
        return drawn.table(judging.of(session, setting, period, by=actor.within(setting.id)))
    if figure == climbed.STEPS:
        held = steps.latest(session, setting.id)
        return climbed.table([each for each in held if period.since <= each.made_at < period.before])
    if figure == climbed.ERRORS:
        evidence, seen = setting.policy.evidence, acted.traffic(session, setting.id, period.since, period.before)
        return pictures.errors(acted.stretches(seen, period), evidence.max_error).table
    return look.table(session, setting, period, figure)


def _file(project: str, figure: str, first: date, last: date) -> str:
    safe = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_" for letter in project)
    return f"{safe}-{figure}-{first}-{last}.csv"
