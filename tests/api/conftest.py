"""The API as programs see it: mounted at /api, asked with keys."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from app.api.main import create_api
from app.settings import Settings
from app.workspace import Workspace
from db.engine import Database
from review_queue import people
from review_queue.errors import Invalid
from review_queue.projects import Setting
from tests import factories

MakeKey = Callable[..., dict[str, str]]


class Api:
    """A client that speaks JSON below /api/v1; `key` are the headers of a key."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def get(self, path: str, key: dict[str, str] | None = None, **params: Any) -> httpx2.Response:
        return self.client.get(f"/api/v1{path}", headers=key, params=params)

    def post(self, path: str, body: Any = None, key: dict[str, str] | None = None, **params: Any) -> httpx2.Response:
        content = None if body is None else json.dumps(body).encode("utf-8", "surrogatepass")
        return self.raw(path, content, key, **params)

    def raw(self, path: str, content: Any, key: dict[str, str] | None = None, **params: Any) -> httpx2.Response:
        headers = {"Content-Type": "application/json", **(key or {})}
        return self.client.post(f"/api/v1{path}", content=content, headers=headers, params=params)

    def items(self, *items: dict[str, Any], key: dict[str, str], **params: Any) -> list[dict[str, Any]]:
        reply = self.post("/projects/claims/items", {"items": items}, key, **params)
        assert reply.status_code == 202, reply.text
        found: list[dict[str, Any]] = reply.json()["items"]
        return found

    def take(self, key: dict[str, str], count: int = 1, session: str = "s") -> list[dict[str, Any]]:
        reply = self.post("/projects/claims/claims", {"count": count, "session": session}, key)
        assert reply.status_code in (200, 204), reply.text
        found: list[dict[str, Any]] = reply.json()["claims"] if reply.status_code == 200 else []
        return found

    def decide(self, case: dict[str, Any], key: dict[str, str], act: str = "k", verdict: str = "accept", **said: Any) -> Any:
        params = {name: said.pop(name) for name in ("hold", "session") if name in said}
        body = {"token": case["token"], "key": act, "verdict": verdict, **said}
        return self.post(f"/tasks/{case['task_id']}/decisions", body, key, **params)


def problem(reply: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of a refused request, its form checked."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = reply.json()
    assert found["code"] == code
    assert found["type"].endswith(f":{code}")
    assert found["status"] == status
    assert found["title"]
    assert found["detail"]
    assert found["instance"].startswith("/")
    assert "Traceback" not in reply.text
    return found


@pytest.fixture
def workspace(database: Database, tmp_path: Path) -> Workspace:
    return Workspace(Settings(dir=tmp_path, secret_key=factories.SECRET), database, factories.keys(database))


@pytest.fixture
def api(workspace: Workspace) -> Iterator[Api]:
    with TestClient(Starlette(routes=[Mount("/api", create_api(workspace))])) as client:
        yield Api(client)


@pytest.fixture
def key(database: Database) -> MakeKey:
    """Make a key of a person, who is made where nobody has the name."""

    def make(name: str, *scopes: str, role: str = "reviewer") -> dict[str, str]:
        with contextlib.suppress(Invalid):
            database.write(people.add_person, name, role=role)
        return {"Authorization": f"Bearer {database.write(people.add_key, name, scopes=scopes)}"}

    return make


@pytest.fixture
def ann(key: MakeKey) -> dict[str, str]:
    return key("ann", "review")


@pytest.fixture
def producer(key: MakeKey) -> dict[str, str]:
    return key("shop", "produce", role="viewer")


@pytest.fixture
def reader(key: MakeKey) -> dict[str, str]:
    return key("olga", "read", role="owner")


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database)
