"""The deck's routes: who gets in, what is not read, what another site cannot send."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.middleware import Middleware

from app.ui.deck import dealing
from app.ui.deck.door import MOST, Deck
from app.ui.door import Door
from app.ui.guard import LOOPBACK, Guard
from app.workspace import Workspace, local_name
from review_queue import people
from tests.browser import filling

OFF: dict[str, Any] = {"automate": {"at_least": "off"}}


def post(workspace: Workspace, path: str = "/desk/claims", **sent: Any) -> httpx.Response:
    door = Door(workspace, local=True)
    guard = [Middleware(Guard, hosts=LOOPBACK)]
    app = Starlette(routes=Deck(workspace, door.who).routes(), middleware=guard)

    async def work() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.post(path, **sent)

    return asyncio.run(work())


def wish(workspace: Workspace, **more: Any) -> dict[str, Any]:
    me = workspace.database.write(people.local_actor, local_name(), "desk")
    return {"seat": "a-seat-of-a-tab", "person": me.id, "want": 2, **more}


def test_the_next_cases_come_as_data_that_nobody_keeps(workspace: Workspace) -> None:
    filling.table(workspace, 4, True, **OFF)
    answer = post(workspace, json=wish(workspace))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.json()["cases"]) == 2
    token = answer.json()["cases"][0]["token"]
    looked = post(workspace, "/desk/claims/look", json=wish(workspace, token=token, full=True))
    assert looked.status_code == 422
    aim = {name: value for name, value in wish(workspace, token=token).items() if name != "want"}
    assert post(workspace, "/desk/claims/look", json={**aim, "full": True}).json()["card"]["full"]
    asked = post(workspace, "/desk/claims/ask", json={**aim, "method": "lime.tabular", "label": "deny"})
    assert (asked.status_code, asked.json().get("message")) == (200, None)
    card = post(workspace, "/desk/claims/look", json={**aim, "full": True}).json()["card"]
    assert card["waits"]
    refused = post(workspace, "/desk/claims/ask", json={**aim, "method": "lime.image", "label": "deny"})
    assert (refused.status_code, "no method for tabular" in refused.json()["message"]) == (422, True)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"content": b"{}"}, 415),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 422),
        ({"content": b"[" * 50_000, "headers": {"content-type": "application/json"}}, 422),
        ({"content": b'"' + b"x" * MOST + b'"', "headers": {"content-type": "application/json"}}, 422),
        ({"json": {"seat": "../../etc/passwd", "person": 1}}, 422),
        ({"json": {"seat": "a-seat-of-a-tab", "person": 1, "want": 99}}, 422),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(workspace: Workspace, sent: dict[str, Any], status: int) -> None:
    filling.table(workspace, 1, False, **OFF)
    answer = post(workspace, **sent)
    assert answer.status_code == status
    assert answer.json()["message"]


def test_a_project_that_is_not_there_is_not_found(workspace: Workspace) -> None:
    answer = post(workspace, "/desk/nothing", json=wish(workspace))
    assert (answer.status_code, "there is no project" in answer.json()["message"]) == (404, True)


def test_who_is_signed_out_is_told_so(workspace: Workspace) -> None:
    filling.table(workspace, 1, False, **OFF)
    said = wish(workspace)
    workspace.database.write(people.add_person, "ann", role="reviewer", password="a long password")
    assert post(workspace, json=said).status_code == 401


def test_the_page_of_another_site_sends_nothing(workspace: Workspace) -> None:
    filling.table(workspace, 1, False, **OFF)
    answer = post(workspace, json=wish(workspace), headers={"origin": "https://evil.example"})
    assert (answer.status_code, "another site" in answer.text) == (400, True)


def test_a_database_that_is_away_is_said_calmly(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    filling.table(workspace, 1, False, **OFF)
    said = wish(workspace)

    def gone(*_: Any) -> Any:
        raise OperationalError("select", {}, Exception("gone"))

    monkeypatch.setattr(dealing, "table", gone)
    answer = post(workspace, json=said)
    assert (answer.status_code, "Nothing is lost" in answer.json()["message"]) == (503, True)
