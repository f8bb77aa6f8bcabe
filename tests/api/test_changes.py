"""Items that change after they were sent, and cases that are put aside, over HTTP."""

from datetime import timedelta
from typing import Any

import pytest

from db.engine import Database
from review_queue import clock, decisions
from review_queue.projects import Setting
from tests import factories
from tests.api.conftest import Api, MakeKey, problem
from tests.api.test_items import ITEMS, png, route

Key = dict[str, str]


def put(api: Api, external_id: str, body: Any, key: Key) -> Any:
    return api.client.put(f"/api/v1{ITEMS}/{external_id}", json=body, headers=key)


def delete(api: Api, external_id: str, key: Key) -> Any:
    return api.client.delete(f"/api/v1{ITEMS}/{external_id}", headers=key)


@pytest.fixture
def waiting(api: Api, database: Database, held: Setting, producer: Key) -> Setting:
    """One item that waits, one that acted alone."""
    factories.routed(database, held, {"a": factories.says("pay", 0.6), "x/1": factories.says("pay", 0.97)})
    return held


# Replacing and cancelling


def test_an_item_is_replaced_and_an_old_answer_refused(
    api: Api, database: Database, waiting: Setting, producer: Key, ann: Key
) -> None:
    (case,) = api.take(ann)
    reply = put(api, "a", {"input": {"amount": 7, "region": "west"}}, producer)
    assert (reply.status_code, reply.json()) == (202, {"external_id": "a", "state": "received", "new": True})
    problem(api.decide(case, ann), 409, "claim_expired")
    route(database, waiting)
    (case,) = api.take(ann)
    assert (case["external_id"], case["input"]["amount"]) == ("a", 7)
    again = put(api, "a", {"external_id": "a", "input": {"amount": 7, "region": "west"}}, producer)
    assert again.json()["new"] is False
    assert [each["token"] for each in api.take(ann)] == [case["token"]]


def test_an_id_with_slashes_and_one_that_is_new(api: Api, waiting: Setting, producer: Key) -> None:
    assert put(api, "x/1", {"input": {"amount": 7, "region": "west"}}, producer).json()["external_id"] == "x/1"
    assert put(api, "new one", {"input": {"amount": 7, "region": "west"}}, producer).json()["new"] is True


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"input": {"amount": "seven", "region": "west"}}, "input.amount"),
        ({"input": {"amount": 7}}, "input.region"),
        ({"external_id": "b", "input": {"amount": 7, "region": "west"}}, "one item"),
        ([{"input": {}}], "one item"),
        ({"items": []}, "items"),
    ],
)
def test_what_cannot_be_taken_leaves_the_old_item(
    api: Api, waiting: Setting, producer: Key, reader: Key, body: Any, words: str
) -> None:
    assert words in problem(put(api, "a", body, producer), 422, "invalid")["detail"]
    assert api.get(f"{ITEMS}/a", reader).json()["input"]["amount"] == 120.5
    problem(put(api, "a%1Fb", {"input": {"amount": 7, "region": "west"}}, producer), 422, "invalid")
    reply = api.client.put(f"/api/v1{ITEMS}/a", content=b"{", headers={**producer, "Content-Type": "application/json"})
    problem(reply, 400, "not_json")


def test_an_image_comes_with_its_bytes(api: Api, database: Database, producer: Key) -> None:
    import base64

    factories.setting(database, factories.project(project="pictures", input={"type": "image"}, labels=["cat", "dog"]))
    uri = "data:image/png;base64," + base64.b64encode(png()).decode()
    reply = api.client.put("/api/v1/projects/pictures/items/p", json={"input": {"image": uri}}, headers=producer)
    assert reply.json()["state"] == "received", reply.text


def test_an_item_is_cancelled_once(api: Api, waiting: Setting, producer: Key, ann: Key, reader: Key) -> None:
    reply = delete(api, "a", producer)
    assert (reply.status_code, reply.json()["state"]) == (200, "cancelled")
    assert delete(api, "a", producer).json() == reply.json()
    assert api.take(ann) == []
    (receipt,) = api.items(factories.raw("a"), key=producer)
    assert (receipt["state"], receipt["new"]) == ("cancelled", False)
    record = api.get(f"{ITEMS}/a", reader).json()
    assert (record["state"], record["item_revision"]) == ("cancelled", 1)
    assert put(api, "a", {"input": factories.raw("a")["input"]}, producer).json()["state"] == "received"
    assert api.get(f"{ITEMS}/a", reader).json()["item_revision"] == 2
    assert api.get(f"{ITEMS}/a", reader, revision=1).json()["state"] == "replaced"
    problem(api.get(f"{ITEMS}/a", reader, revision=3), 404, "not_found")
    for reply in (api.get(f"{ITEMS}/a%1F1", reader), delete(api, "a%1F1", producer)):  # the place of the old one is nobody's id
        problem(reply, 404, "not_found")
    problem(delete(api, "nothing", producer), 404, "not_found")


def test_keys_without_the_scope_change_nothing(api: Api, waiting: Setting, ann: Key, reader: Key) -> None:
    for key in (ann, reader):
        problem(put(api, "a", {"input": {}}, key), 403, "scope_lacks")
        problem(delete(api, "a", key), 403, "scope_lacks")
    problem(api.post(f"{ITEMS}/a/review", {"reason": "why"}, reader), 403, "scope_lacks")


# Asking and correcting


def test_somebody_asks_for_a_look(api: Api, waiting: Setting, producer: Key, ann: Key) -> None:
    reply = api.post(f"{ITEMS}/x/1/review", {"reason": "the customer disagrees"}, producer)
    assert (reply.status_code, reply.json()["new"], reply.json()["external_id"]) == (200, True, "x/1")
    again = api.post(f"{ITEMS}/x/1/review", {"reason": "still"}, ann).json()
    assert again == {**reply.json(), "new": False}
    found = {case["external_id"]: case for case in api.take(ann, 2)}
    assert found["x/1"]["requested"] == "the customer disagrees"
    assert found["a"]["requested"] is None
    problem(api.post(f"{ITEMS}/a/review", {"reason": "why"}, producer), 409, "refused")
    problem(api.post(f"{ITEMS}/x/1/review", {"reason": ""}, producer), 422, "invalid")
    problem(api.post(f"{ITEMS}/b/review", {"reason": "why"}, producer), 404, "not_found")


def test_a_lead_corrects_and_a_retry_changes_nothing(api: Api, waiting: Setting, key: MakeKey, ann: Key, reader: Key) -> None:
    lea = key("lea", "review", role="lead")
    body = {"key": "c1", "label": "deny", "comment": "photo 3"}
    problem(api.post(f"{ITEMS}/x/1/correction", body, ann), 403, "forbidden")
    reply = api.post(f"{ITEMS}/x/1/correction", body, lea)
    assert (reply.status_code, reply.json()["verdict"], reply.json()["label"]) == (200, "correct", "deny")
    assert api.post(f"{ITEMS}/x/1/correction", body, lea).json() == reply.json()
    problem(api.post(f"{ITEMS}/x/1/correction", {**body, "label": "pay"}, lea), 422, "key_reused")
    problem(api.post(f"{ITEMS}/x/1/correction", {"key": "c2", "reject": True}, lea), 422, "invalid")
    problem(api.post(f"{ITEMS}/x/1/correction", {"key": "c2"}, lea), 422, "invalid")
    problem(api.post(f"{ITEMS}/a/correction", {**body, "key": "c3"}, lea), 409, "refused")
    stood = [(each["label"], each["revision"]) for each in api.get(f"{ITEMS}/x/1", reader).json()["outcomes"]]
    assert stood == [("pay", 1), ("deny", 2)]


def test_a_correction_that_comes_twice_at_one_moment_gets_the_stored_reply(
    api: Api, waiting: Setting, key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    lea, body = key("lea", "review", role="lead"), {"key": "c1", "label": "deny"}
    reply = api.post(f"{ITEMS}/x/1/correction", body, lea)
    looks = [lambda *_: None, decisions._revised]  # the first look comes before the other has committed
    monkeypatch.setattr(decisions, "_revised", lambda *args: looks.pop(0)(*args))
    assert api.post(f"{ITEMS}/x/1/correction", body, lea).json() == reply.json()
    assert looks == []


# Parking


def test_a_case_is_parked_listed_and_brought_back(api: Api, waiting: Setting, ann: Key, key: MakeKey) -> None:
    bob, lea = key("bob", "review"), key("lea", "review", role="lead")
    (case,) = api.take(ann)
    until = (clock.now() + timedelta(days=3)).isoformat()
    body = {"token": case["token"], "until": until, "note": "the garage calls back"}
    reply = api.post(f"/tasks/{case['task_id']}/park", body, ann)
    assert reply.status_code == 200, reply.text
    assert (reply.json()["person"], reply.json()["note"], reply.json()["external_id"]) == ("ann", "the garage calls back", "a")
    assert api.post(f"/tasks/{case['task_id']}/park", body, ann).json() == reply.json()
    assert api.get("/projects/claims/parked", ann).json() == {"parked": [reply.json()]}
    assert api.get("/projects/claims/parked", bob).json() == {"parked": []}
    assert api.get("/projects/claims/parked", lea).json() == {"parked": [reply.json()]}
    assert api.take(ann) == []
    problem(api.post(f"/tasks/{case['task_id']}/unpark", None, bob), 403, "forbidden")
    assert api.post(f"/tasks/{case['task_id']}/unpark", None, ann).status_code == 204
    problem(api.post(f"/tasks/{case['task_id']}/unpark", None, ann), 409, "refused")
    assert api.take(bob) == []
    (again,) = api.take(ann)
    assert again["note"] == "the garage calls back"
    problem(api.post("/tasks/99/unpark", None, ann), 404, "not_found")


@pytest.mark.parametrize(
    "change",
    [
        {"until": "2020-01-01T00:00:00Z"},
        {"until": "2999-01-01T00:00:00Z"},
        {"until": "tomorrow"},
        {"until": "2026-12-01T09:00:00"},
        {"note": "x" * 2001},
        {"note": "a\x00b"},
        {"why": "not"},
    ],
)
def test_a_wrong_parking_is_refused(api: Api, waiting: Setting, ann: Key, change: dict[str, Any]) -> None:
    (case,) = api.take(ann)
    problem(api.post(f"/tasks/{case['task_id']}/park", {"token": case["token"], **change}, ann), 422, "invalid")
    assert [each["token"] for each in api.take(ann)] == [case["token"]]
