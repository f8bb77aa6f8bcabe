"""The web process at its door: who gets in, what leaves with every answer, what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from starlette.applications import Starlette
from starlette.middleware import Middleware

from app import web
from app.ui import resources
from app.ui.door import Door, Tries
from app.ui.guard import ANY, LOOPBACK, Guard
from app.workspace import NotReady, Workspace, local_name
from contract.canonical import canonical
from db import blobs
from db.tables import Activity, Item, ItemKey
from retrain import datasets
from review_queue import members, people
from tests.browser import filling

PASSWORD = "a long password"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    held = filling.workspace(tmp_path / "desk")
    yield held
    held.database.close()


def client(workspace: Workspace, *, local: bool = True, base: str = "http://localhost") -> httpx.AsyncClient:
    guard = [Middleware(Guard, hosts=LOOPBACK if local else (ANY,))]
    app = Starlette(routes=Door(workspace, local=local).routes(), middleware=guard)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=base)


def run(work: Any) -> Any:
    import asyncio

    return asyncio.run(work())


async def come_in(http: httpx.AsyncClient, name: str, password: str, goal: str = "/") -> httpx.Response:
    page = await http.get("/signin", params={"next": goal})
    token = page.text.split('name="token" value="')[1].split('"')[0]
    return await http.post("/signin", data={"token": token, "next": goal, "name": name, "password": password})


def test_the_person_at_this_machine_needs_no_password_until_there_is_one(workspace: Workspace) -> None:
    async def work() -> None:
        async with client(workspace) as http:
            assert (await http.get("/")).status_code == 200
            workspace.database.write(people.add_person, "ann", role="reviewer", password=PASSWORD)
            sent = await http.get("/queue?project=claims")
            assert (sent.status_code, sent.headers["location"]) == (303, "/signin?next=%2Fqueue%3Fproject%3Dclaims")

    run(work)


def test_other_machines_never_get_in_without_a_password(workspace: Workspace) -> None:
    async def work() -> None:
        async with client(workspace, local=False, base="http://desk.example") as http:
            assert (await http.get("/")).status_code == 303

    run(work)
    with pytest.raises(NotReady, match="signoff user add"):
        web.serve(workspace, host="0.0.0.0", api=False)


def test_a_password_gives_a_cookie_that_scripts_cannot_read(workspace: Workspace) -> None:
    workspace.database.write(people.add_person, "ann", role="reviewer", password=PASSWORD)

    async def work() -> None:
        async with client(workspace, base="https://localhost") as http:
            answer = await come_in(http, "ann", PASSWORD, "/find?id=7")
            assert (answer.status_code, answer.headers["location"]) == (303, "/find?id=7")
            cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith(resources.COOKIE))
            assert {"HttpOnly", "SameSite=lax", "Secure"} <= set(cookie.split("; "))
            assert (await http.get("/")).status_code == 200
            workspace.database.write(people.disable, "ann")
            workspace.database.write(people.add_person, "bob", role="reviewer", password=PASSWORD)
            assert (await http.get("/")).status_code == 303

    run(work)


@pytest.mark.parametrize("goal", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x"])
def test_after_signing_in_nobody_is_sent_elsewhere(workspace: Workspace, goal: str) -> None:
    workspace.database.write(people.add_person, "ann", role="reviewer", password=PASSWORD)

    async def work() -> None:
        async with client(workspace) as http:
            assert (await come_in(http, "ann", PASSWORD, goal)).headers["location"] == "/"

    run(work)


def test_wrong_passwords_run_out(workspace: Workspace) -> None:
    workspace.database.write(people.add_person, "ann", role="reviewer", password=PASSWORD)

    async def work() -> None:
        async with client(workspace) as http:
            states = [(await come_in(http, "ann", "wrong password")).status_code for _ in range(6)]
            assert states == [401] * 5 + [429]
            assert (await come_in(http, "ann", PASSWORD)).status_code == 429

    run(work)


def test_a_form_of_another_site_does_not_sign_anybody_in(workspace: Workspace) -> None:
    workspace.database.write(people.add_person, "ann", role="reviewer", password=PASSWORD)

    async def work() -> None:
        async with client(workspace) as http:
            bare = await http.post("/signin", data={"name": "ann", "password": PASSWORD, "token": "x"})
            assert bare.status_code == 403
            foreign = await http.post("/signin", data={}, headers={"origin": "https://evil.example"})
            assert foreign.status_code == 400

    run(work)


def test_strange_host_names_are_not_answered(workspace: Workspace) -> None:
    async def work() -> None:
        async with client(workspace, base="http://rebound.example") as http:
            assert (await http.get("/")).status_code == 400

    run(work)


def test_every_answer_carries_the_headers(workspace: Workspace) -> None:
    async def work() -> None:
        async with client(workspace) as http:
            for path in ("/", "/signin", "/desk.css", "/nowhere"):
                headers = (await http.get(path)).headers
                assert "frame-ancestors 'none'" in headers["content-security-policy"]
                assert "'unsafe-eval'" not in headers["content-security-policy"].replace("wasm-unsafe-eval", "")
                assert headers["x-content-type-options"] == "nosniff"
            page = (await http.get("/")).text
            assert "<title>Signoff</title>" in page
            assert "<script>" not in page

    run(work)


def test_taking_a_dataset_out_is_for_leads_and_is_noted(workspace: Workspace) -> None:
    setting = filling.table(workspace, 2, False)
    given = [{"external_id": "1", "input": {"amount": 1}, "label": "pay", "split": "train"}]
    info = workspace.database.write(datasets.add_base, setting, given, by=None)
    for name, role in (("lea", "lead"), ("ann", "reviewer")):
        workspace.database.write(people.add_person, name, role=role, password=PASSWORD)

    async def work() -> None:
        async with client(workspace) as http:
            path = f"/dataset/{info.id}/{next(iter(info.files))}"
            assert (await http.get(path)).status_code == 401
            await come_in(http, "ann", PASSWORD)
            assert (await http.get(path)).status_code == 403
            await come_in(http, "lea", PASSWORD)
            taken = await http.get(path)
            assert taken.headers["content-disposition"].startswith("attachment")
            assert b'"pay"' in taken.content
            assert (await http.get(f"/dataset/{info.id}/nothing")).status_code == 404

    run(work)
    verbs = workspace.database.read(lambda session: [row.verb for row in session.query(Activity)])
    assert verbs.count("dataset.download") == 1


def test_the_api_stands_beside_the_desk(workspace: Workspace) -> None:
    app = web.build(workspace, api=True, desk=False)

    async def work() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as http:
            assert (await http.get("/healthz")).json()["status"] == "ok"
            answer = await http.get("/api/v1/projects/none/stats")
            assert answer.status_code in (401, 403)
            assert answer.headers["x-content-type-options"] == "nosniff"

    run(work)


def test_tries_are_counted_by_name_and_address() -> None:
    tries = Tries()
    for _ in range(5):
        tries.count("Ann", "1.2.3.4")
    assert tries.too_many("ann", "1.2.3.4")
    assert not tries.too_many("ann", "5.6.7.8")
    assert not tries.too_many("bob", "1.2.3.4")


def test_many_guesses_at_once_are_counted_like_one_after_the_other(workspace: Workspace) -> None:
    import asyncio

    workspace.database.write(people.add_person, "ann", role="reviewer", password=PASSWORD)

    async def work() -> list[int]:
        async with client(workspace) as http:
            page = await http.get("/signin")
            token = page.text.split('name="token" value="')[1].split('"')[0]
            guesses = [{"token": token, "name": "ann", "password": f"guess number {n}"} for n in range(9)]
            return [reply.status_code for reply in await asyncio.gather(*(http.post("/signin", data=each) for each in guesses))]

    assert run(work).count(401) == 5


def test_who_signs_in_is_not_locked_out_by_doing_so(workspace: Workspace) -> None:
    workspace.database.write(people.add_person, "ann", role="reviewer", password=PASSWORD)

    async def work() -> None:
        for _ in range(7):
            async with client(workspace) as http:
                assert (await come_in(http, "ann", PASSWORD)).status_code == 303

    run(work)


def test_the_agent_interface_of_streamlit_stays_off() -> None:
    assert web.OPTIONS["server.enableAgentApi"] is False
    assert web.OPTIONS["browser.gatherUsageStats"] is False


def test_a_file_is_handed_out_with_the_case_that_names_it(workspace: Workspace) -> None:
    setting = filling.table(workspace, 3, False)
    database = workspace.database
    info = database.write(datasets.add_answers, setting, {"M-1": "pay"}, by=None)
    inner = next(iter(info.files.values()))["sha256"]
    letter = database.write(blobs.put, b"a letter", "text/plain")
    first, second = database.read(lambda s: s.scalars(select(ItemKey.item_id).order_by(ItemKey.item_id).limit(2)).all())
    show = canonical({"letter": {"blob": f"sha256:{letter}"}})
    database.write(lambda s: s.execute(update(Item).where(Item.id == first).values(show=show)))

    async def work() -> None:
        async with client(workspace) as http:
            assert (await http.get(f"/blob/{first}/{letter}")).content == b"a letter"
            for item, sha in ((second, letter), (first, inner), (10**6, letter), (first, "x")):
                assert (await http.get(f"/blob/{item}/{sha}")).status_code == 404
            me = database.write(people.local_actor, local_name(), "cli")
            database.write(members.everywhere, me.name, False)
            assert (await http.get(f"/blob/{first}/{letter}")).status_code == 404

    run(work)
