"""What the desk holds once a process: the opened workspace, and who sits before the page."""

import time
import uuid
from dataclasses import dataclass, field
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
from review_queue import people, preferences, projects
from review_queue.activity import Actor
from review_queue.errors import NotFound
from review_queue.preferences import Preferences
from review_queue.projects import Setting

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
    for kept in (_prepared, _small, _neighbours):
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
    wanted = _wanted()
    here = held.database.read(_look, cookie, st.session_state.get("person"), wanted)
    if here is None:
        actor = held.database.write(whoever, cookie, held.keys.link, local=_place.local)
        here = Here(actor, held.database.read(_setting, wanted) if actor else None)
    st.session_state["person"] = here.actor.id if here.actor else None
    if here.setting is not None and st.query_params.get("project") != here.setting.name:
        st.query_params["project"] = here.setting.name
    return here


def _look(session: Session, cookie: str | None, known: int | None, wanted: str | None) -> Here | None:
    """Who and where, without writing; None where the local person has to be made first."""
    key = workspace().keys.link
    signed_in = person_in(cookie, key)
    if signed_in is None and (known is None or not _place.local or people.anybody_can_sign_in(session)):
        return None
    actor = people.actor(session, signed_in or known or 0, "desk")
    return Here(actor, _setting(session, wanted), preferences.of(session, actor.id)) if actor else None


def _setting(session: Session, name: str | None) -> Setting | None:
    try:
        return projects.get(session, name) if name else None
    except NotFound:
        return None


def _wanted() -> str | None:
    """The project in the address, else the one of before, else the first."""
    asked = st.query_params.get("project") or st.session_state.get("project")
    names = project_names()
    if not names or (asked and asked not in names):
        _names.cache_clear()
        names = project_names()
    found = asked if asked in names else next(iter(names), None)
    st.session_state["project"] = found
    return found


def project_names() -> dict[str, str]:
    """Names and headings of all projects, remembered for seconds."""
    return _names(workspace().database.url, int(time.monotonic() // 15))


@lru_cache(maxsize=4)
def _names(url: str, moment: int) -> dict[str, str]:
    return {setting.name: setting.project.heading for setting in workspace().database.read(projects.everything)}


def seat(person_id: int) -> str:
    """The name under which this tab holds cases; a tab that was reloaded goes on with what it held."""
    name: str | None = st.session_state.get("review.seat")
    if name is None:
        context = get_script_run_ctx()
        name = _left_by(person_id) or str(uuid.uuid4())
        st.session_state["review.seat"] = name
        _place.seats[name] = (person_id, context.session_id if context else "")
    return name


def _left_by(person_id: int) -> str | None:
    """A seat of this person whose tab is gone."""
    if not runtime.exists():
        return None
    held = runtime.get_instance()
    gone = (name for name, (person, tab) in list(_place.seats.items()) if person == person_id and not held.is_active_session(tab))
    return next(gone, None)


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
