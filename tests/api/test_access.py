"""Keys, scopes and roles: which key may do what, and how the rest is refused."""

from datetime import timedelta
from typing import Any

import pytest

from db.engine import Database
from review_queue import clock, people
from review_queue.projects import Setting
from tests import factories
from tests.api.conftest import Api, MakeKey, problem

P = "/projects/claims"
CALLS: list[tuple[str, str, Any, set[str]]] = [
    ("POST", f"{P}/items", {"items": [factories.raw("1")]}, {"produce"}),
    ("GET", f"{P}/items/1", None, {"read"}),
    ("PUT", f"{P}/items/1", {"input": factories.raw("1")["input"]}, {"produce"}),
    ("DELETE", f"{P}/items/2", None, {"produce"}),
    ("POST", f"{P}/items/1/review", {"reason": "odd"}, {"produce", "review"}),
    ("POST", f"{P}/items/1/correction", {"key": "k", "label": "pay"}, {"review"}),
    ("POST", f"{P}/truths", {"truths": [{"external_id": "1", "label": "pay"}]}, {"produce"}),
    ("POST", f"{P}/erasures", {"external_ids": ["unknown"]}, {"admin"}),
    ("GET", f"{P}/parked", None, {"review"}),
    ("POST", "/tasks/1/park", {"token": "t"}, {"review"}),
    ("POST", "/tasks/1/unpark", None, {"review"}),
    ("GET", f"{P}/webhooks", None, {"read", "admin"}),
    ("POST", f"{P}/webhooks", {"url": "http://10.0.0.1/"}, {"admin"}),
    ("DELETE", f"{P}/webhooks/999", None, {"admin"}),
    ("GET", f"{P}/webhooks/999/deliveries", None, {"read", "admin"}),
    ("DELETE", f"{P}/webhooks/999/deliveries/1", None, {"admin"}),
    ("POST", f"{P}/webhooks/999/resend", None, {"admin"}),
    ("POST", f"{P}/blobs", None, {"produce"}),
    ("GET", f"{P}/blobs/{'a' * 64}", None, {"review", "read"}),
    ("POST", f"{P}/claims", {"session": "s"}, {"review"}),
    ("POST", "/claims/heartbeat", {"tokens": ["x"]}, {"review"}),
    ("POST", "/claims/release", {"tokens": ["x"]}, {"review"}),
    ("POST", "/tasks/1/answer", {"token": "t", "key": "k", "label": "pay"}, {"review"}),
    ("POST", "/tasks/1/decisions", {"token": "t", "key": "k", "verdict": "accept"}, {"review"}),
    ("POST", "/decisions/1/undo", None, {"review"}),
    ("GET", "/tasks/1/explanations", None, {"review"}),
    ("POST", "/tasks/1/explanations", {"method": "lime.tabular"}, {"review"}),
    ("GET", "/tasks/1/similar", None, {"review"}),
    ("GET", f"{P}/events", None, {"read", "produce"}),
    ("GET", f"{P}/stats", None, {"read"}),
    ("GET", "/projects", None, {"produce", "review", "read", "admin", "act_as"}),
    ("POST", f"{P}/freeze", None, {"admin"}),
    ("POST", f"{P}/unfreeze", None, {"admin"}),
    ("POST", f"{P}/policy/simulate", {"policy": {"autonomy": "set"}}, {"read"}),
    ("GET", f"{P}/evidence", None, {"read"}),
    ("GET", f"{P}/autonomy", None, {"read"}),
    ("GET", f"{P}/autonomy/steps", None, {"read"}),
    ("POST", f"{P}/autonomy/raise", {}, {"admin"}),
    ("POST", f"{P}/autonomy/steps/999/sign", None, {"admin"}),
    ("POST", f"{P}/autonomy/steps/999/withdraw", None, {"admin"}),
    ("POST", f"{P}/autonomy/lower", {}, {"admin"}),
    ("POST", f"{P}/autonomy/regrant", None, {"admin"}),
    ("GET", f"{P}/shadow", None, {"read"}),
    ("PUT", f"{P}/shadow", {"version": 999}, {"admin"}),
    ("DELETE", f"{P}/shadow", None, {"admin"}),
    ("POST", f"{P}/rollback", None, {"admin"}),
    ("GET", "/jobs", None, {"read", "admin"}),
    ("POST", "/jobs", {"project": "claims", "kind": "train"}, {"admin"}),
    ("GET", "/jobs/999", None, {"read", "admin"}),
    ("POST", "/jobs/999/cancel", None, {"admin"}),
    ("GET", f"{P}/datasets", None, {"read"}),
    ("POST", f"{P}/datasets", None, {"read", "admin"}),
    ("GET", "/datasets/999", None, {"read"}),
    ("GET", "/datasets/999/files/x", None, {"read"}),
]


@pytest.fixture
def database(sqlite: Database) -> Database:
    """Which kind of database it is does not matter here."""
    return sqlite


def call(api: Api, method: str, path: str, body: Any, key: dict[str, str] | None) -> Any:
    if method in ("GET", "POST"):
        return api.get(path, key) if method == "GET" else api.post(path, body, key)
    return api.client.request(method, f"/api/v1{path}", headers=key, json=body)


def test_each_call_takes_the_scopes_that_it_names_and_no_other(api: Api, held: Setting, key: MakeKey) -> None:
    keys = {scope: key("olga", scope, role="owner") for scope in people.SCOPES}
    for method, path, body, allowed in CALLS:
        for scope, held_key in keys.items():
            reply = call(api, method, path, body, held_key)
            if scope in allowed:
                assert reply.status_code not in (401, 403, 500), (path, scope, reply.text)
            else:
                assert any(name in problem(reply, 403, "scope_lacks")["detail"] for name in allowed), path
                assert 'error="insufficient_scope"' in reply.headers["www-authenticate"]


def test_no_call_goes_without_a_key(api: Api, held: Setting) -> None:
    for method, path, body, _ in CALLS:
        reply = call(api, method, path, body, None)
        problem(reply, 401, "no_key")
        assert reply.headers["www-authenticate"] == 'Bearer realm="signoff"'
        problem(call(api, method, path, body, {"Authorization": "Bearer wrong"}), 401, "bad_key")
    problem(api.get("/projects/unknown/stats"), 401, "no_key")
    problem(api.get("/projects", {"Authorization": "Basic YTpi"}), 401, "no_key")


def test_every_call_of_the_surface_is_tried_above(api: Api) -> None:
    paths = api.client.get("/api/openapi.json").json()["paths"]
    assert sum(len(calls) for path, calls in paths.items() if path.startswith("/v1/")) == len(CALLS)


def test_ended_keys_are_refused(api: Api, database: Database, key: MakeKey) -> None:
    mine = key("ann", "review")
    database.write(people.revoke_key, int(database.read(people.keys)[-1]["id"]))  # type: ignore[call-overload]
    problem(api.get("/projects", mine), 401, "bad_key")
    text = database.write(people.add_key, "ann", scopes=["read"], expires_at=clock.now() - timedelta(seconds=1))
    problem(api.get("/projects", {"Authorization": f"Bearer {text}"}), 401, "bad_key")
    third = key("ann", "read")
    assert api.get("/projects", third).status_code == 200
    database.write(people.disable, "ann")
    problem(api.get("/projects", third), 401, "bad_key")


def test_naming_another_person_needs_the_scope(api: Api, database: Database, held: Setting, key: MakeKey) -> None:
    factories.person(database, "bob")
    plain, speaker = key("ann", "review"), key("desk", "review", "act_as")
    refused = api.get("/projects", {**plain, "Signoff-Act-As": "bob"})
    assert "act_as" in problem(refused, 403, "forbidden")["detail"]
    assert api.get("/projects", {**plain, "Signoff-Act-As": "ann"}).status_code == 200
    assert api.get("/projects", {**speaker, "Signoff-Act-As": "bob"}).status_code == 200
    problem(api.get("/projects", {**speaker, "Signoff-Act-As": "nobody"}), 404, "not_found")
    database.write(people.disable, "bob")
    problem(api.get("/projects", {**speaker, "Signoff-Act-As": "bob"}), 403, "forbidden")


def test_deciding_is_not_for_viewers(api: Api, held: Setting, key: MakeKey) -> None:
    reply = api.post(f"{P}/claims", {"session": "s"}, key("guest", "review", role="viewer"))
    assert "viewer" in problem(reply, 403, "forbidden")["detail"]
