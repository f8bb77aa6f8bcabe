"""The web process: the desk, its sign-in, and the API beside it. Closed to other machines until somebody can sign in."""

import gc
from collections.abc import Collection
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from app.ui import frame, logbook, oidc, reports, resources, takeaway
from app.ui.deck.door import Deck
from app.ui.door import Door
from app.ui.guard import ANY, LOOPBACK, Guard
from app.workspace import NotReady, Workspace
from review_queue import people

_LIGHT = {
    "primaryColor": "#1f5fa8",
    "backgroundColor": "#fcfcfb",
    "secondaryBackgroundColor": "#f1f1ef",
    "textColor": "#1b1e21",
    "borderColor": "#d5d6d4",
    "linkColor": "#1a5596",
}
_DARK = {
    "primaryColor": "#2a6cb8",
    "backgroundColor": "#15181b",
    "secondaryBackgroundColor": "#1f2327",
    "textColor": "#e4e6e8",
    "borderColor": "#3a4046",
    "linkColor": "#8fbdf2",
}
OPTIONS: dict[str, Any] = {
    "browser.gatherUsageStats": False,
    "client.disableDataExport": True,
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "client.toolbarMode": "minimal",
    "runner.postScriptGC": False,
    "server.enableAgentApi": False,
    "server.fileWatcherType": "none",
    "server.headless": True,
    "server.maxMessageSize": 32,
    "server.maxUploadSize": 1,
    "theme.baseRadius": "6px",
    **{f"theme.light.{name}": value for name, value in _LIGHT.items()},
    **{f"theme.dark.{name}": value for name, value in _DARK.items()},
}


def build(workspace: Workspace, *, api: bool, desk: bool, hosts: Collection[str] = LOOPBACK) -> ASGIApp:
    """The application; it answers under the names in `hosts` alone.

    Where those are this machine's own, whoever sits at it needs no password until somebody has one.
    """
    routes: list[BaseRoute] = [Route("/healthz", _health)]
    if api:
        from app.api.main import create_api

        routes.append(Mount("/api", create_api(workspace)))
    guard = [Middleware(Guard, hosts=hosts)]
    if not desk:
        return Starlette(routes=routes, middleware=guard)
    return _desk(workspace, routes, guard, local=set(hosts) <= set(LOOPBACK))


def serve(workspace: Workspace, *, host: str = "127.0.0.1", port: int = 8501, api: bool = True, desk: bool = True) -> None:
    """Listen until stopped. Raises NotReady for a host that others reach while nobody can sign in."""
    import uvicorn

    local, vouching = host in LOOPBACK, desk and oidc.provider(workspace.settings, workspace.keys.link) is not None
    if not local and not vouching and not workspace.database.read(people.anybody_can_sign_in):
        raise NotReady(
            f"nothing listens on {host} before somebody can sign in, or whoever reaches it could decide; "
            "make an account first: `signoff user add NAME --role owner`"
        )
    app = build(workspace, api=api, desk=desk, hosts=LOOPBACK if local else (ANY,))
    what = " and ".join(name for name, wanted in (("the desk", desk), ("the API under /api", api)) if wanted)
    print(f"http://{host}:{port} serves {what}. Ctrl-C stops it.", flush=True)
    uvicorn.run(app, host=host, port=port, access_log=False, log_level="warning", server_header=False)


def _desk(workspace: Workspace, routes: list[BaseRoute], guard: list[Middleware], *, local: bool) -> ASGIApp:
    import streamlit as st
    from streamlit import config

    for option, value in OPTIONS.items():
        config.set_option(option, value)
    provider = oidc.provider(workspace.settings, workspace.keys.link)
    local = local and provider is None
    resources.hand_over(workspace, local=local)
    door = Door(workspace, local=local, provider=provider)
    own = [
        *door.routes(),
        *Deck(workspace, door.who).routes(),
        *takeaway.routes(door),
        *logbook.routes(door),
        *reports.routes(door),
    ]
    secrets = dict(provider.secrets) if provider is not None else None
    app = st.App(resources.HERE / "main.py", routes=[*own, *routes], middleware=guard, secrets=secrets)
    _settle()
    return app


def _settle() -> None:
    """Load what the pages need and take it out of the collector's sight: a full collection follows every rerun."""
    from app.ui.screens import activity, autonomy, data, find, insights, models, queue, review, settings  # noqa: F401

    gc.collect()
    gc.freeze()


def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok", "build": frame.build()})
