"""Every call of the API against people to whom a project is closed, and in roles that are too low: no hole."""

import re
from typing import Any

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import select

from app.api.main import create_api
from app.workspace import Workspace
from db.engine import Database
from db.tables import Decision
from retrain import datasets
from review_queue import decisions, jobs, members, people
from review_queue.decisions import Said
from review_queue.projects import Setting
from tests import factories
from tests.api.conftest import Api, problem
from tests.review_queue.acting import take

Key = dict[str, str]
EVERYWHERE = {
    ("GET", "/projects"),
    ("GET", "/jobs"),
    ("POST", "/jobs"),
    ("POST", "/claims/heartbeat"),
    ("POST", "/claims/release"),
}
"""Calls whose address lies in no project; each is tested by itself below."""
NUMBERS = {
    "project": "claims",
    "external_id": "1",
    "sha256": "0" * 64,
    "name": "data.jsonl",
    "seq": "1",
    "webhook_id": "1",
    "step_id": "1",
}


def calls(workspace: Workspace) -> list[tuple[str, str]]:
    """Method and address below /v1 of everything that there is."""
    routes = [route for route in _routes(create_api(workspace)) if route.path.startswith("/v1")]
    return sorted((method, route.path.removeprefix("/v1")) for route in routes for method in route.methods)


def _routes(api: Any) -> list[APIRoute]:
    paths = api.openapi()["paths"]
    return [APIRoute(path, lambda: None, methods=list(each)) for path, each in paths.items()]


@pytest.fixture
def filled(database: Database, held: Setting) -> dict[str, str]:
    """Numbers of things in the project of claims."""
    factories.routed(database, held, {"1": factories.says("pay", 0.6), "2": factories.says("pay", 0.6)})
    ann = factories.person(database, "ann", "lead")
    case = take(database, held, ann)[0]
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
    job = database.write(jobs.ask, held.id, "train", {}, by=ann)
    dataset = database.write(datasets.add_base, held, [{"input": {"amount": 1.0, "region": "north"}, "label": "pay"}], by=None).id
    decision = database.read(lambda s: s.scalars(select(Decision.id)).one())
    return {
        **NUMBERS,
        "task_id": str(case.task_id),
        "decision_id": str(decision),
        "job_id": str(job.id),
        "dataset_id": str(dataset),
    }


def addressed(path: str, numbers: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)(?::path)?\}", lambda match: numbers[match[1]], path)


@pytest.fixture
def outsider(database: Database, held: Setting) -> Key:
    """A key with every scope, of an admin to whom the letters alone are open."""
    factories.setting(database, factories.project(project="letters"))
    database.write(people.add_person, "out", role="admin", kind="service", everywhere=False)
    database.write(members.grant, "out", "letters")
    text = database.write(people.add_key, "out", scopes=list(people.SCOPES))
    return {"Authorization": f"Bearer {text}"}


def test_a_closed_project_is_as_none_at_every_address(
    api: Api, workspace: Workspace, database: Database, outsider: Key, filled: dict[str, str]
) -> None:
    tried = 0
    for method, path in calls(workspace):
        if (method, path) in EVERYWHERE:
            continue
        address = addressed(path, filled)
        reply = api.client.request(method, f"/api/v1{address}", headers=outsider, json={})
        found = problem(reply, 404, "not_found")
        assert "there is no" in found["detail"], (method, path)
        assert "pay" not in reply.text
        unknown = api.client.request(
            method, f"/api/v1{addressed(path, {**filled, 'project': 'nothing'})}", headers=outsider, json={}
        )
        if "{project}" in path:
            assert problem(unknown, 404, "not_found")["detail"] == found["detail"].replace("claims", "nothing")
        tried += 1
    assert tried > 25
    assert database.read(jobs.recent, 1)[0].state == "waiting", "and nothing was done"


def test_calls_without_a_project_tell_and_do_nothing_of_closed_ones(
    api: Api, database: Database, held: Setting, outsider: Key, filled: dict[str, str]
) -> None:
    assert [each["project"] for each in api.get("/projects", outsider).json()["projects"]] == ["letters"]
    assert api.get("/jobs", outsider).json() == {"jobs": []}
    problem(api.get("/jobs", outsider, project="claims"), 404, "not_found")
    problem(api.post("/jobs", {"project": "claims", "kind": "train"}, outsider), 404, "not_found")
    metrics = api.client.get("/api/metrics", headers=outsider).text
    assert "letters" in metrics
    assert "claims" not in metrics
    ben = factories.person(database, "ben")
    case = take(database, held, ben)[0]
    reply = api.post("/claims/heartbeat", {"tokens": [case.token]}, {**outsider, "Signoff-Act-As": "ben"})
    assert reply.json()["renewed"] == [case.token], "what somebody holds is theirs, also through a key: no data is told"
    problem(api.get("/projects/claims/stats", {**outsider, "Signoff-Act-As": "ben"}), 404, "not_found")


@pytest.mark.parametrize("role", ["viewer", "reviewer"])
def test_roles_that_are_too_low(api: Api, database: Database, held: Setting, filled: dict[str, str], role: str) -> None:
    database.write(people.add_person, "low", role="admin", kind="service")
    text = database.write(people.add_key, "low", scopes=list(people.SCOPES))
    key = {"Authorization": f"Bearer {text}"}
    database.write(members.grant, "low", "claims", role)
    too_low = [
        ("/jobs", {"project": "claims", "kind": "train"}),
        (f"/jobs/{filled['job_id']}/cancel", None),
        ("/projects/claims/freeze", None),
        ("/projects/claims/items/1/correction", {"key": "c", "label": "deny"}),
        ("/projects/claims/webhooks", {"url": "https://example.org/"}),
    ]
    if role == "viewer":
        too_low += [
            ("/projects/claims/claims", {"session": "s", "count": 1}),
            (f"/tasks/{filled['task_id']}/decisions", {"token": "t", "key": "d", "verdict": "accept"}),
            (f"/decisions/{filled['decision_id']}/undo", None),
        ]
    for address, body in too_low:
        reply = api.post(address, body, key)
        assert reply.status_code in (403, 422), (address, reply.text)
        if "webhooks" not in address:
            problem(reply, 403, "forbidden")


def test_a_sign_in_of_the_desk_opens_nothing_here(api: Api, database: Database, workspace: Workspace, held: Setting) -> None:
    from app.ui import resources

    ann = factories.person(database, "ann", "admin")
    signed = str(resources.signer(workspace.keys.link).dumps(ann.id))
    api.client.cookies.set(resources.COOKIE, signed)
    api.client.cookies.set("_streamlit_user", signed)
    problem(api.get("/projects"), 401, "no_key")
    problem(api.client.get("/api/metrics"), 401, "no_key")
