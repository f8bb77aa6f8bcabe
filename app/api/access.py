"""Who is asking: a bearer key with scopes, perhaps in another person's name."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from sqlalchemy.orm import Session

from app.api import places
from app.api.problems import Refusal
from app.workspace import Workspace
from contract.project import NAME
from review_queue import people, projects
from review_queue.activity import Actor
from review_queue.errors import Forbidden, NotFound
from review_queue.projects import Setting

_bearer = HTTPBearer(auto_error=False, scheme_name="key", description="A key from `signoff key add`.")
_REALM = 'Bearer realm="signoff"'


def workspace(request: Request) -> Workspace:
    """The installation that this API serves."""
    held: Workspace = request.app.state.workspace
    return held


Here = Annotated[Workspace, Depends(workspace)]


def caller(
    request: Request,
    here: Here,
    scopes: SecurityScopes,
    given: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    signoff_act_as: Annotated[str | None, Header(description="Another person's name; needs the scope act_as.")] = None,
) -> Actor:
    """Whoever the key speaks for, as the project of the address knows them. A key needs one of the scopes that the call names."""
    if given is None:
        detail = "this needs a key: send Authorization: Bearer signoff_…; `signoff key add` makes one"
        raise Refusal(401, "no_key", detail, {"WWW-Authenticate": _REALM})
    return here.database.read(_placed, given.credentials, scopes.scopes, signoff_act_as, request.path_params)


def _placed(session: Session, text: str, scopes: list[str], name: str | None, address: Mapping[str, Any]) -> Actor:
    """Somebody to whom not every project is open, as the project of the address knows them. Raises NotFound, Refusal."""
    actor = _actor(session, text, scopes, name)
    if actor.reach is None:
        return actor
    project_id = places.of(session, address)
    if project_id is None and "project" not in address:
        return actor
    if project_id is None or not actor.sees(project_id):
        raise places.unknown(address)
    return actor.within(project_id)


def _actor(session: Session, text: str, scopes: list[str], name: str | None) -> Actor:
    key = people.open_key(session, text)
    if key is None:
        headers = {"WWW-Authenticate": f'{_REALM}, error="invalid_token"'}
        raise Refusal(401, "bad_key", "this key is unknown, revoked or expired, or its owner is disabled", headers)
    if scopes and not key.scopes.intersection(scopes):
        headers = {"WWW-Authenticate": f'{_REALM}, error="insufficient_scope", scope="{scopes[0]}"'}
        raise Refusal(403, "scope_lacks", f"this key lacks the scope {' or '.join(scopes)}", headers)
    return people.act_as(session, key, _header_text(name)) if name is not None else key.actor


def _header_text(value: str) -> str:
    """A header that came as UTF-8, as most clients send it, or as Latin-1; without the NUL that no name has."""
    try:
        text = value.encode("latin-1").decode()
    except UnicodeError:
        text = value
    return text.replace("\x00", "")


def _reviewing(actor: Annotated[Actor, Security(caller)]) -> Actor:
    if not actor.at_least("reviewer"):
        raise Forbidden(f"{actor.name} is a {actor.role}; deciding cases is for reviewers, leads, owners and admins")
    return actor


Anyone = Annotated[Actor, Security(caller)]
Asker = Annotated[Actor, Security(caller, scopes=["produce", "review"])]
Producer = Annotated[Actor, Security(caller, scopes=["produce"])]
Reviewer = Annotated[Actor, Security(_reviewing, scopes=["review"])]
Reader = Annotated[Actor, Security(caller, scopes=["read"])]
Follower = Annotated[Actor, Security(caller, scopes=["read", "produce"])]
Viewer = Annotated[Actor, Security(caller, scopes=["review", "read"])]
Exporter = Annotated[Actor, Security(caller, scopes=["read", "admin"])]
Admin = Annotated[Actor, Security(caller, scopes=["admin"])]


def standing(here: Here, project: Annotated[str, Path(description="The project's name.", examples=["claims"])]) -> Setting:
    """The project that the address names; `caller` refuses whoever it is closed to."""
    return here.database.read(named, project)


Standing = Annotated[Setting, Depends(standing)]


def named(session: Session, project: str, actor: Actor | None = None) -> Setting:
    """A project by its name. Raises NotFound, also where it is closed to `actor`."""
    if not re.fullmatch(NAME, project):
        raise NotFound(f"there is no project {project[:80]!r}; a name has lower-case letters, digits, - and _")
    return projects.get(session, project, by=actor)
