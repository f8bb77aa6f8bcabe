"""Who comes in: the sign-in page and its cookie, and the routes that hand out bytes to whoever is signed in."""

import secrets
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qs, urlencode

import anyio
import itsdangerous
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from app.ui import frame, oidc, resources
from app.ui.oidc import Provider
from app.workspace import Workspace
from db import blobs
from db.tables import Dataset, Item
from review_queue import people, vouched
from review_queue.activity import Actor
from review_queue.errors import Forbidden, NotFound
from review_queue.intake import blobs_in

PAGES = ("", "review", "queue", "insights", "autonomy", "data", "models", "find", "activity", "settings")
FORM = "signoff_form"
GOAL = "signoff_goal"
"""The cookie that says where somebody goes who has set out for the provider from here."""
MOST_FORM = 8_192
WRONG = "Name or password is wrong."
KINDS = {".css": "text/css", ".js": "text/javascript"}


@dataclass
class Tries:
    """Failed sign-ins of the last minutes, by name and address."""

    window: float = 600.0
    most: dict[str, int] = field(default_factory=lambda: {"both": 5, "name": 30, "address": 30})
    failed: defaultdict[tuple[str, str], deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def too_many(self, name: str, address: str) -> bool:
        """Whether this name from this address has to wait."""
        limit = time.monotonic() - self.window
        for kind, what in self._keys(name, address):
            held = self.failed[kind, what]
            while held and held[0] < limit:
                held.popleft()
            if len(held) >= self.most[kind]:
                return True
            if not held:
                del self.failed[kind, what]
        return False

    def count(self, name: str, address: str) -> None:
        for key in self._keys(name, address):
            self.failed[key].append(time.monotonic())

    def forgive(self, name: str, address: str) -> None:
        """Take the last count back: the password was right."""
        for key in self._keys(name, address):
            if held := self.failed[key]:
                held.pop()

    @staticmethod
    def _keys(name: str, address: str) -> tuple[tuple[str, str], ...]:
        folded = name.casefold()[:200]
        return ("both", f"{folded}\n{address}"), ("name", folded), ("address", address)


class Door:
    """The routes before and beside the desk."""

    def __init__(self, workspace: Workspace, *, local: bool, provider: Provider | None = None) -> None:
        self.workspace, self.local, self.provider = workspace, local, provider
        self.tries, self.hashing = Tries(), anyio.CapacityLimiter(2)
        self.forms = itsdangerous.URLSafeTimedSerializer(workspace.keys.link, salt="signoff form")
        self.goals = itsdangerous.URLSafeTimedSerializer(workspace.keys.link, salt="signoff goal")

    def routes(self) -> list[BaseRoute]:
        return [
            *(Route(f"/{page}", self.page) for page in PAGES),
            *(Route(f"/{name}", self.kept) for name in frame.kept()),
            Route("/signin", self.ask, methods=["GET"]),
            Route("/signin", self.sign_in, methods=["POST"]),
            *([Route("/signin/provider", self.set_out)] if self.provider is not None else []),
            Route("/signout", self.ask_out, methods=["GET"]),
            Route("/signout", self.sign_out, methods=["POST"]),
            Route("/blob/{item:int}/{sha}", self.blob),
            Route("/dataset/{dataset:int}/{name:path}", self.dataset_file),
        ]

    async def page(self, request: Request) -> Response:
        """The desk for whoever is signed in; the sign-in page for the others."""
        if request.url.path == "/" and (gone := self._gone_to(request)) is not None:
            return await self._come_back(request, *gone)
        if await self.who(request) is None:
            goal = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/signin?{urlencode({'next': goal})}", 303)
        return HTMLResponse(frame.page(), headers={"Cache-Control": "no-store"})

    async def kept(self, request: Request) -> Response:
        file = frame.KEPT / request.url.path.removeprefix("/")
        return FileResponse(file, media_type=KINDS[file.suffix], headers={"Cache-Control": "no-cache"})

    async def ask(self, request: Request) -> Response:
        return await self._asked(request, request.query_params.get("next", "/"))

    async def sign_in(self, request: Request) -> Response:
        given = await _fields(request)
        name, goal = given.get("name", "").strip(), given.get("next", "/")
        if not self._sent_by_our_form(request, given):
            return await self._asked(request, goal, "This form was too old; please try again.", name, 403)
        address = request.client.host if request.client else ""
        if self.tries.too_many(name, address):
            return await self._asked(request, goal, "Too many wrong attempts; please wait ten minutes.", name, 429)
        self.tries.count(name, address)  # before the password is looked at, or many at once would all get through
        read = self.workspace.database.read
        account = await anyio.to_thread.run_sync(read, people.sign_in, name, given.get("password", ""), limiter=self.hashing)
        if account is None:
            return await self._asked(request, goal, WRONG, name, 401)
        self.tries.forgive(name, address)
        return self._let_in(request, account.id, goal)

    async def set_out(self, request: Request) -> Response:
        """To the provider. What it vouched for before in this browser is forgotten first."""
        response = RedirectResponse(oidc.login_address(), 303)
        oidc.forget(request, response)
        self._keep(request, response, GOAL, str(self.goals.dumps(_inside(request.query_params.get("next", "/")))), 900)
        return response

    async def _come_back(self, request: Request, goal: str, since: datetime) -> Response:
        """From the provider, with whom it vouches for or without."""
        assert self.provider is not None
        claims, name = oidc.vouched_for(request), self.provider.name
        if claims is None or not oidc.is_fresh(claims, since):
            here = await self.who(request) is not None
            said = f"The sign-in with {name} did not come to its end; please try again."
            return self._gone(RedirectResponse(goal, 303) if here else await self._asked(request, goal, said))
        try:
            account = await anyio.to_thread.run_sync(self._welcome, claims)
        except Forbidden as error:
            said = f"{name} knows you, but you were not let in: {error}."
            return self._gone(await self._asked(request, goal, said, status=403))
        return self._let_in(request, account.id, goal)

    def _welcome(self, claims: dict[str, object]) -> people.Account:
        """Whoever comes twice at once for the first time is made once."""
        assert self.provider is not None
        try:
            return self.workspace.database.write(vouched.welcome, claims, self.provider.rules)
        except IntegrityError:
            return self.workspace.database.write(vouched.welcome, claims, self.provider.rules)

    def _gone_to(self, request: Request) -> tuple[str, datetime] | None:
        """Where somebody goes who set out for the provider from this browser, and when they did; None where nobody did."""
        held = request.cookies.get(GOAL)
        if held is None or self.provider is None:
            return None
        try:
            goal, at = self.goals.loads(held, max_age=900, return_timestamp=True)
            return _inside(str(goal)), at
        except itsdangerous.BadData:
            return None

    @staticmethod
    def _gone(response: Response) -> Response:
        response.delete_cookie(GOAL, path="/")
        return response

    async def ask_out(self, request: Request) -> Response:
        token = self._token()
        response = HTMLResponse(frame.sign_out(token), headers={"Cache-Control": "no-store"})
        self._keep(request, response, FORM, token, 900)
        return response

    async def sign_out(self, request: Request) -> Response:
        if not self._sent_by_our_form(request, await _fields(request)):
            return await self.ask_out(request)
        by_provider = self.provider is not None and oidc.vouched_for(request) is not None
        name = self.provider.name if self.provider is not None and by_provider else None
        out = HTMLResponse(frame.signed_out(name, oidc.LOGOUT), headers={"Cache-Control": "no-store"})
        response = out if name is not None else RedirectResponse("/signin", 303)
        response.delete_cookie(resources.COOKIE, path="/")
        return response

    async def blob(self, request: Request) -> Response:
        """A file that a case shows, to save; never something that a browser would run."""
        actor = await self.who(request)
        if actor is None:
            return PlainTextResponse("Sign in first.", 401)
        item, sha = request.path_params["item"], request.path_params["sha"]
        found = await anyio.to_thread.run_sync(self.workspace.database.read, shown_blob, item, sha, actor)
        return (
            _download(found[0], f"{sha[:12]}.{_ending(found[1])}") if found else PlainTextResponse("There is no such file.", 404)
        )

    async def dataset_file(self, request: Request) -> Response:
        """A file of a dataset version, for leads; who took it is noted."""
        actor = await self.who(request)
        if actor is None:
            return PlainTextResponse("Sign in first.", 401)
        dataset, name = request.path_params["dataset"], request.path_params["name"]
        try:
            found = await anyio.to_thread.run_sync(self.workspace.database.write, take_file, dataset, name, actor)
        except Forbidden as error:
            return PlainTextResponse(f"{error}.", 403)
        return PlainTextResponse("There is no such file.", 404) if found is None else _download(found, name)

    async def who(self, request: Request) -> Actor | None:
        cookie, key = request.cookies.get(resources.COOKIE), self.workspace.keys.link
        call = self.workspace.database.write

        def look() -> Actor | None:
            return call(resources.whoever, cookie, key, local=self.local)

        return await anyio.to_thread.run_sync(look)

    async def _asked(self, request: Request, goal: str, trouble: str = "", name: str = "", status: int = 200) -> Response:
        """The sign-in page: the ways in that there are."""
        token, goal, read = self._token(), _inside(goal), self.workspace.database.read
        link = f"/signin/provider?{urlencode({'next': goal})}"
        vouching = (self.provider.name, link) if self.provider is not None else None
        passwords = vouching is None or await anyio.to_thread.run_sync(read, people.anybody_can_sign_in)
        body = frame.sign_in(token, goal, trouble, name, provider=vouching, passwords=passwords)
        response = HTMLResponse(body, status, {"Cache-Control": "no-store"})
        oidc.forget(request, response)
        self._keep(request, response, FORM, token, 900)
        return response

    def _let_in(self, request: Request, person_id: int, goal: str) -> Response:
        response = RedirectResponse(_inside(goal), 303)
        value = resources.signer(self.workspace.keys.link).dumps(person_id)
        self._keep(request, response, resources.COOKIE, str(value), resources.HOURS * 3600)
        response.delete_cookie(FORM, path="/")
        return self._gone(response)

    def _token(self) -> str:
        return str(self.forms.dumps(secrets.token_urlsafe(12)))

    def _sent_by_our_form(self, request: Request, given: dict[str, str]) -> bool:
        """The form holds the token that this browser's cookie holds, and it is not older than a quarter of an hour."""
        token, cookie = given.get("token", ""), request.cookies.get(FORM, "")
        try:
            self.forms.loads(token, max_age=900)
        except itsdangerous.BadData:
            return False
        return secrets.compare_digest(token.encode(), cookie.encode())

    @staticmethod
    def _keep(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
        secure = request.url.scheme == "https"
        response.set_cookie(name, value, max_age=seconds, httponly=True, samesite="lax", secure=secure, path="/")


def shown_blob(session: Session, item_id: int, sha: str, actor: Actor) -> tuple[bytes, str] | None:
    """Bytes that an item names, of a project that is open to the actor. Nothing else that lies in the same store."""
    item = session.get(Item, item_id)
    if item is None or not actor.sees(item.project_id) or sha not in {*blobs_in(item.input), *blobs_in(item.show)}:
        return None
    return blobs.get(session, sha)


def take_file(session: Session, dataset_id: int, name: str, actor: Actor) -> bytes | None:
    """The bytes of one file of a dataset version, with a note of who took them; None where there is none. Raises Forbidden."""
    from retrain import datasets

    row = session.get(Dataset, dataset_id)
    if row is None or not actor.sees(row.project_id):
        return None
    here = actor.within(row.project_id)
    if not here.at_least("lead"):
        raise Forbidden("taking data out is for leads; sign in as one")
    try:
        return datasets.take_out(session, dataset_id, name, by=here)
    except NotFound:
        return None


async def _fields(request: Request) -> dict[str, str]:
    """The fields of a small form."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_FORM:
            return {}
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _inside(goal: str) -> str:
    """A goal on this site; anything else is the first page."""
    return goal if goal.startswith("/") and not goal.startswith(("//", "/\\")) and goal.isprintable() else "/"


def _download(data: bytes, name: str) -> Response:
    safe = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)
    headers = {"Content-Disposition": f'attachment; filename="{safe}"', "Cache-Control": "no-store"}
    return Response(data, media_type="application/octet-stream", headers=headers)


def _ending(media_type: str) -> str:
    return {"image/png": "png", "image/jpeg": "jpg", "application/pdf": "pdf", "text/plain": "txt"}.get(media_type, "bin")
