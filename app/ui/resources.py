"""What the desk holds once a process: the opened workspace, and who sits before the page."""

import re
import secrets
import time
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

import itsdangerous
import streamlit as st
from sqlalchemy.orm import Session
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.settings import Settings
from app.similar import Similar
from app.ui.draw.pictures import Picture, prepare
from app.workspace import Workspace, local_name, open_workspace
from db import blobs
from review_queue import people, preferences, projects, spreads, workers
from review_queue.activity import Actor
from review_queue.errors import Forbidden, NotFound
from review_queue.preferences import Preferences
from review_queue.projects import Setting
from review_queue.spreads import Spread

COOKIE = "signoff_person"
HOURS = 12
THUMBNAIL = 128
"""Pixels of the longer side of an image in a list."""
HERE = Path(__file__).parent


@dataclass
class _Place:
    """Where the web process leaves what the pages need. `served`: our own page frame carries style and keys."""

    workspace: Workspace | None = None
    served: bool = False
    local: bool = True
    seats: dict[str, tuple[int, str]] = field(default_factory=dict)


_place = _Place()


def hand_over(workspace: Workspace, *, local: bool) -> None:
    """The web process gives its workspace to the pages. `local`: nothing but this machine reaches them."""
    _place.workspace, _place.served, _place.local = workspace, True, local


def forget() -> None:
    """Drop what is remembered of projects and pictures."""
    _names.cache_clear()
    for kept in (_prepared, _small, _neighbours, _spread, _no_worker):
        kept.cache_clear()


def served() -> bool:
    return _place.served


def workspace() -> Workspace:
    """The workspace of this process; opened from `SIGNOFF_DIR` where the script was started by itself."""
    if _place.workspace is None:
        _place.workspace = open_workspace(Settings(), serving=True)
    return _place.workspace


def signer(link_key: bytes) -> itsdangerous.URLSafeTimedSerializer:
    """Signs who a browser is."""
    return itsdangerous.URLSafeTimedSerializer(link_key, salt="signoff sign-in")


def person_in(cookie: str | None, link_key: bytes) -> int | None:
    """The person whom a cookie names, while it is valid."""
    try:
        return int(signer(link_key).loads(unquote(cookie or ""), max_age=HOURS * 3600))
    except (itsdangerous.BadData, ValueError, TypeError):
        return None


def whoever(session: Session, cookie: str | None, link_key: bytes, *, local: bool) -> Actor | None:
    """Who acts: by the cookie; the local person by itself while nobody can sign in and only this machine gets here."""
    person_id = person_in(cookie, link_key)
    if person_id is not None and (signed_in := people.actor(session, person_id, "desk")):
        return signed_in
    if not local or people.anybody_can_sign_in(session):
        return None
    return people.local_actor(session, local_name(), "desk")


@dataclass(frozen=True)
class Here:
    """Who sits before the page, and the project it is at; None where they have to sign in, or there is no project."""

    actor: Actor | None
    setting: Setting | None
    chosen: Preferences = field(default_factory=Preferences)


def arrive() -> Here:
    """Look who is there and where they are, once a run."""
    held = workspace()
    cookie = st.context.cookies.get(COOKIE)
    asked = st.query_params.get("project") or st.session_state.get("project")
    known = _known(asked)
    here = held.database.read(_look, cookie, st.session_state.get("person"), asked, known)
    if here is None:
        actor = held.database.write(whoever, cookie, held.keys.link, local=_place.local)
        here = held.database.read(_at, actor, asked, known) if actor else Here(None, None)
    st.session_state["person"] = here.actor.id if here.actor else None
    st.session_state["actor"] = here.actor
    st.session_state["project"] = here.setting.name if here.setting else None
    if here.setting is not None and st.query_params.get("project") != here.setting.name:
        st.query_params["project"] = here.setting.name
    return here


def _look(session: Session, cookie: str | None, known: int | None, asked: str | None, names: "Known") -> Here | None:
    """Who and where, without writing; None where the local person has to be made first."""
    key = workspace().keys.link
    signed_in = person_in(cookie, key)
    if signed_in is None and (known is None or not _place.local or people.anybody_can_sign_in(session)):
        return None
    actor = people.actor(session, signed_in or known or 0, "desk")
    return _at(session, actor, asked, names) if actor else None


def _at(session: Session, actor: Actor, asked: str | None, names: "Known") -> Here:
    """At the project that is asked for where it is open to them, else at the first that is."""
    mine = [name for name, (project_id, _) in names.items() if actor.sees(project_id)]
    name = asked if asked in mine else next(iter(mine), None)
    setting, chosen = _setting(session, name), preferences.of(session, actor.id)
    return Here(actor.within(setting.id) if setting else actor, setting, chosen)


def _setting(session: Session, name: str | None) -> Setting | None:
    try:
        return projects.get(session, name) if name else None
    except NotFound:
        return None


Known = dict[str, tuple[int, str]]
"""Ids and headings of projects, by name."""


def _known(asked: str | None) -> Known:
    """All projects, looked for anew where the one that is asked for is not among them."""
    names = _names(workspace().database.url, int(time.monotonic() // 15))
    if not names or (asked and asked not in names):
        _names.cache_clear()
        names = _names(workspace().database.url, int(time.monotonic() // 15))
    return names


def project_names(actor: Actor) -> dict[str, str]:
    """Names and headings of the projects that are open to somebody, remembered for seconds."""
    return {name: heading for name, (project_id, heading) in _known(None).items() if actor.sees(project_id)}


@lru_cache(maxsize=4)
def _names(url: str, moment: int) -> Known:
    return {each.name: (each.id, each.project.heading) for each in workspace().database.read(projects.everything)}


def require_current() -> None:
    """A press on a page that was drawn before: Raises Forbidden where what is open to the person has changed since."""
    drawn: Actor | None = st.session_state.get("actor")
    project: str | None = st.session_state.get("project")
    if drawn is not None and not workspace().database.read(_still, drawn, project):
        raise Forbidden("what is open to you has changed since this page was drawn, and nothing was done")


def _still(session: Session, drawn: Actor, project: str | None) -> bool:
    now, setting = people.actor(session, drawn.id, drawn.via), _setting(session, project)
    if now is None or (setting is not None and not now.sees(setting.id)):
        return False
    return drawn == (now.within(setting.id) if setting is not None else now)


def no_worker_since(project_id: int) -> datetime | None:
    """Since when a project's work waits for a worker while none is seen; looked at again after seconds."""
    return _no_worker(workspace().database.url, project_id, int(time.monotonic() // 15))


@lru_cache(maxsize=64)
def _no_worker(url: str, project_id: int, moment: int) -> datetime | None:
    return workspace().database.read(workers.away_since, project_id)


def seat(person_id: int) -> str:
    """The name under which this tab holds cases, kept in its address: a tab that was reloaded, or whose server was started
    anew, goes on with what it held. Two tabs that are open never share one."""
    name: str | None = st.session_state.get("review.seat")
    if name is None:
        context = get_script_run_ctx()
        name = _in_address() or _left_by(person_id) or secrets.token_urlsafe(6)
        st.session_state["review.seat"] = name
        _place.seats[name] = (person_id, context.session_id if context else "")
    st.query_params["seat"] = name
    return name


def _in_address() -> str | None:
    """The seat that the address names, unless another tab sits on it."""
    name = st.query_params.get("seat")
    if name is None or not re.fullmatch(r"[A-Za-z0-9_-]{8}", name):
        return None
    tab = _place.seats.get(name, (0, ""))[1]
    return None if tab and runtime.exists() and runtime.get_instance().is_active_session(tab) else name


def _left_by(person_id: int) -> str | None:
    """A seat of this person whose tab is gone."""
    if not runtime.exists():
        return None
    held = runtime.get_instance()
    gone = (name for name, (person, tab) in list(_place.seats.items()) if person == person_id and not held.is_active_session(tab))
    return next(gone, None)


def spread(setting: Setting) -> Spread | None:
    """How the values that the acting model learned from are spread, remembered for a minute."""
    return _spread(workspace().database.url, setting.id, int(time.monotonic() // 60))


@lru_cache(maxsize=16)
def _spread(url: str, project_id: int, moment: int) -> Spread | None:
    return workspace().database.read(spreads.acting, project_id)


@lru_cache(maxsize=48)
def _prepared(url: str, sha: str) -> Picture | None:
    found = workspace().database.read(blobs.get, sha)
    return prepare(found[0]) if found else None


def picture(sha: str) -> Picture | None:
    """A stored image ready for the page; the last few are remembered."""
    return _prepared(workspace().database.url, sha.removeprefix("sha256:")) if sha else None


def picture_uri(sha: str) -> str | None:
    found = picture(sha)
    return found.uri if found else None


@lru_cache(maxsize=256)
def _small(url: str, sha: str) -> str | None:
    found = workspace().database.read(blobs.get, sha)
    small = prepare(found[0], most=THUMBNAIL) if found else None
    return small.uri if small else None


def thumbnail(sha: str) -> str | None:
    """A stored image as small as a line of a list shows it."""
    return _small(workspace().database.url, sha.removeprefix("sha256:")) if sha else None


@lru_cache(maxsize=1)
def _neighbours(url: str) -> Similar:
    return Similar(workspace().database)


def similar() -> Similar:
    """What finds similar cases; its indexes are kept once a process."""
    return _neighbours(workspace().database.url)
