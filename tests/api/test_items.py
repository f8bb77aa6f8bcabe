"""Items over HTTP: each answered for itself, kept once, waited for."""

import base64
import io
import json
import threading
from typing import Any

import anyio
import pytest
from PIL import Image

from app.api import bodies, shapes
from db.engine import Database
from db.tables import Activity
from review_queue import batches, rules
from review_queue.projects import Setting
from tests import factories
from tests.api.conftest import Api, MakeKey, problem

ITEMS = "/projects/claims/items"
Key = dict[str, str]


def png(width: int = 4, height: int = 3) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(out, "PNG")
    return out.getvalue()


def route(database: Database, held: Setting, sure: float = 0.6) -> None:
    """Score what waits, as a worker does."""
    rule = database.read(rules.in_force, held.id, held.policy)
    assert rule is not None
    leased = database.write(batches.lease, held.id, "score", "w", limit=100, seconds=60)
    scored = [(item, factories.says("pay", sure)) for item in leased]
    database.write(batches.write, held.id, "w", scored, model_id=rule.model_id, keys=factories.keys(database))


def test_an_item_is_kept_once_and_answers_with_what_stands(api: Api, database: Database, held: Setting, producer: Key) -> None:
    assert api.items(factories.raw("1"), key=producer) == [{"external_id": "1", "state": "received", "new": True}]
    route(database, held, 0.97)
    again = api.items(factories.raw("1"), key=producer)[0]
    assert (again["state"], again["route"], again["label"], again["new"]) == ("decided", "auto", "pay", False)
    assert again["confidence"] == pytest.approx(0.97)
    other = api.items(factories.raw("1", amount=9), key=producer)[0]
    assert other["state"] == "conflict"
    assert "other content" in other["problem"]
    acts = database.read(lambda s: [(a.verb, a.via, a.after) for a in s.query(Activity).filter_by(verb="items.post")])
    assert acts == [("items.post", "api", {"new": 1})]


BAD_ITEMS: list[tuple[Any, list[str]]] = [
    ({"external_id": "x", "input": {"amount": 1}}, ["input.region", "is not there", "send a category"]),
    ({"external_id": "x", "input": {"amount": "1", "region": "n"}}, ["input.amount", "must be a number", "'1'"]),
    ({"external_id": "x", "input": {"amount": 10**400, "region": "n"}}, []),
    ({"external_id": "x", "input": {"amount": 2**60, "region": "n"}}, ["input.amount", "2^53"]),
    ({"external_id": "x", "input": {"amount": 1, "region": "n", "amont": 2}}, ["input.amont", "nearest is amount"]),
    ({"external_id": "x", "input": {"amount": 1, "region": "n" * 2**20}}, ["input.region", "1,048,576 characters"]),
    ({"external_id": "x", "input": {"amount": 1, "region": "\ud800"}}, ["input.region", "surrogate"]),
    ({"external_id": "x", "input": {"amount": 1, "region": "a\x00"}}, ["input.region", "NUL"]),
    ({"external_id": "x", "input": {"\ud800": 1, "amount": 1, "region": "n"}}, ["no such feature"]),
    ({"external_id": "x", "input": {"amount": 1, "region": "n"}, "groups": {"age": 3}}, ["groups.age", "no such group"]),
    ({"external_id": "x", "input": {"amount": 1, "region": "n"}, "subject": "\ud800"}, ["surrogate"]),
    ({"external_id": "x", "input": [1]}, ["input: must be an object"]),
    ({"external_id": "x"}, ["input: must be an object"]),
    ({"external_id": "x", "inputs": {}}, ["inputs: is no part of an item"]),
    ({"external_id": "", "input": {"amount": 1, "region": "n"}}, ["external_id", "no id"]),
    ({"external_id": ["x"], "input": {"amount": 1, "region": "n"}}, ["external_id", "no id"]),
    ({"external_id": "y" * 501, "input": {"amount": 1, "region": "n"}}, ["external_id", "501 characters"]),
    ({"external_id": "x", "prediction": {"probabilities": {}}, "input": {}}, ["prediction", "leave it out"]),
    ("x", ["item: must be an object"]),
    (None, ["item: must be an object"]),
]


def test_a_bad_item_is_told_what_to_mend_and_rejects_no_other(api: Api, held: Setting, producer: Key) -> None:
    good = factories.raw("good"), factories.raw("fine")
    reply = api.post(ITEMS, {"items": [good[0], *(item for item, _ in BAD_ITEMS), good[1]]}, producer)
    assert reply.status_code == 202
    first, *bad, last = reply.json()["items"]
    assert (first["state"], last["state"]) == ("received", "received")
    for (item, words), found in zip(BAD_ITEMS, bad, strict=True):
        assert found["state"] == "invalid", item
        assert all(word in found["problem"] for word in words), found
        assert len(found["problem"]) <= 1000


def test_a_number_beyond_all_numbers_is_that_items_problem(api: Api, held: Setting, producer: Key) -> None:
    body = b'{"items": [{"external_id": "1", "input": {"amount": 1e999, "region": "n"}}]}'
    found = api.raw(ITEMS, body, producer).json()["items"][0]
    assert (found["state"], found["external_id"]) == ("invalid", "1")
    assert "not a number that can be scored" in found["problem"]


def test_an_id_twice_in_a_batch(api: Api, held: Setting, producer: Key) -> None:
    found = api.items(factories.raw("1"), factories.raw("1"), factories.raw("1", amount=7), key=producer)
    assert [each["state"] for each in found] == ["received", "received", "conflict"]


BAD_BODIES: list[tuple[bytes, int, str, str]] = [
    (b"", 422, "invalid", "empty"),
    (b"{", 400, "not_json", "line 1, column 2"),
    (b'{"items": [NaN]}', 400, "not_json", "NaN"),
    (b'{"items": [-Infinity]}', 400, "not_json", "Infinity"),
    (b'{"items": ["\xff"]}', 400, "not_utf8", "byte 12"),
    (b"[" * 100_000, 400, "not_json", "nested too deep"),
    (b'{"items": [' + b"1" * 5000 + b"]}", 400, "not_json", "thousands of digits"),
    (b"[]", 422, "invalid", '{"items": [...]}'),
    (b'{"items": {}}', 422, "invalid", '{"items": [...]}'),
    (b'{"items": [], "wait": 3}', 422, "invalid", "nothing else"),
    (b'{"items": []}', 422, "no_items", "at least one"),
    (json.dumps({"items": [1] * (shapes.MOST_ITEMS + 1)}).encode(), 422, "too_many_items", "1,001 items"),
]


def test_a_body_that_cannot_be_read_is_refused_with_the_place(api: Api, held: Setting, producer: Key) -> None:
    for content, status, code, words in BAD_BODIES:
        assert words in problem(api.raw(ITEMS, content, producer), status, code)["detail"]


def test_another_content_type_is_refused(api: Api, held: Setting, producer: Key) -> None:
    for named in ("text/plain", "application/x-www-form-urlencoded", "applicationjson"):
        reply = api.raw(ITEMS, b'{"items": [1]}', {**producer, "Content-Type": named})
        assert named in problem(reply, 415, "wrong_media_type")["detail"]
    fine = api.raw(ITEMS, b'{"items": [1]}', {**producer, "Content-Type": "Application/JSON; charset=utf-8"})
    assert fine.status_code == 202


def test_a_huge_body_is_refused_declared_or_streamed(
    api: Api, held: Setting, producer: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "LARGE", 1000)
    problem(api.raw(ITEMS, b" " * 1001, producer), 413, "too_large")
    problem(api.raw(ITEMS, iter([b" " * 600, b" " * 600]), producer), 413, "too_large")
    problem(api.raw("/claims/release", b" " * (2**20 + 1), producer), 413, "too_large")
    problem(api.raw("/claims/release", iter([b" " * 2**20, b" "]), producer), 413, "too_large")


def test_a_body_that_says_it_is_huge_is_refused_unread() -> None:
    sent: list[Any] = []

    async def never(*_: Any) -> Any:
        raise AssertionError("this is not read")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/api/v1/projects/claims/items", "headers": [(b"content-length", b"33554433")]}
    anyio.run(bodies.BodyLimit(never), scope, never, send)
    assert sent[0]["status"] == 413


def test_waiting_ends_as_soon_as_all_are_routed(api: Api, database: Database, held: Setting, producer: Key) -> None:
    worker = threading.Timer(0.3, route, (database, held))
    worker.start()
    bad = {"external_id": "bad", "input": {}}
    first, second, third = api.items(factories.raw("1"), bad, factories.raw("2"), key=producer, wait=20)
    worker.join()
    assert [first["state"], second["state"], third["state"]] == ["waiting", "invalid", "waiting"]
    assert (first["route"], first["new"]) == ("review", True)


def test_waiting_ends_with_its_time(api: Api, held: Setting, producer: Key) -> None:
    assert api.items(factories.raw("1"), key=producer, wait=0.2)[0]["state"] == "received"
    for wait in ("31", "-1", "NaN", "x"):
        assert "wait" in problem(api.post(ITEMS, {"items": [factories.raw("1")]}, producer, wait=wait), 422, "invalid")["detail"]


def test_the_record_of_an_item_tells_everything(api: Api, database: Database, held: Setting, reader: Key) -> None:
    factories.routed(database, held, {"a/b": factories.says("pay", 0.6)})
    record = api.get(f"{ITEMS}/a%2Fb", reader)
    assert record.status_code == 200
    found = record.json()
    assert found["external_id"] == "a/b"
    assert isinstance(found["item_id"], str)
    assert isinstance(found["routings"][0]["rule_id"], str)
    assert list(found["predictions"].values()) == [{"deny": pytest.approx(0.4), "pay": pytest.approx(0.6)}]
    problem(api.get(f"{ITEMS}/zzz", reader), 404, "not_found")
    problem(api.get(f"{ITEMS}/a%00b", reader), 404, "not_found")


def test_the_record_is_shut_to_those_who_may_still_answer_it_blind(api: Api, database: Database, key: MakeKey) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))
    factories.routed(database, held, {"1": factories.says("pay", 0.97)})
    problem(api.get(f"{ITEMS}/1", key("ann", "review")), 403, "scope_lacks")
    both = problem(api.get(f"{ITEMS}/1", key("bob", "read")), 403, "forbidden")
    assert "blind" in both["detail"]


BAD_IMAGES: list[tuple[Any, str]] = [
    ("data:image/png,abc", "without ;base64"),
    ("data:image/png;base64,@@@", "cannot be read"),
    ("data:image/png;base64,aGVsbG8=", "is not an image"),
    ("data:image/png;base64," + base64.b64encode(png(90, 90)[:100]).decode(), "is broken"),
    ("data:image/png;base64," + "A" * 2**21, "above 1 MB"),
    ("https://example.org/a.png", "is not"),
    ({"blob": "sha256:" + "a" * 64}, "never sent"),
    ({"blob": "sha256:x"}, "post the bytes"),
]


class TestImages:
    """Data URIs and blobs in an input."""

    @pytest.fixture
    def held(self, database: Database) -> Setting:
        show = {"scan": {"type": "image", "many": True}, "letter": {"type": "file"}}
        return factories.setting(database, factories.project(input={"type": "image", "show": show}))

    def uri(self, data: bytes, media_type: str = "image/png") -> str:
        return f"data:{media_type};base64,{base64.b64encode(data).decode()}"

    def test_a_data_uri_becomes_a_blob(self, api: Api, held: Setting, producer: Key, reader: Key) -> None:
        shown = {"scan": [self.uri(png(5, 5)), None], "letter": self.uri(b"<html>", "text/html")}
        item = {"external_id": "1", "input": {"image": self.uri(png())}, "show": shown}
        assert api.items(item, key=producer)[0]["state"] == "received"
        record = api.get(f"{ITEMS}/1", reader).json()
        assert record["input"]["image"]["blob"].startswith("sha256:")
        assert [each and list(each) for each in record["show"]["scan"]] == [["blob"], None]
        got = api.get(f"/projects/claims/blobs/{record['input']['image']['blob']}", reader, item="1")
        assert (got.content, got.headers["content-type"]) == (png(), "image/png")
        letter = api.get(f"/projects/claims/blobs/{record['show']['letter']['blob']}", reader, item="1")
        assert letter.headers["content-type"] == "application/octet-stream"

    def test_what_is_no_image_is_told_so(self, api: Api, held: Setting, producer: Key) -> None:
        for value, words in BAD_IMAGES:
            found = api.items({"external_id": "1", "input": {"image": value}}, key=producer)[0]
            assert found["state"] == "invalid"
            assert words in found["problem"]


def test_a_full_queue_takes_nothing_new_and_says_when_to_come_back(
    api: Api, database: Database, held: Setting, producer: Key
) -> None:
    factories.setting(database, wished=factories.policy(intake={"most_waiting": 2}))
    assert len(api.items(factories.raw("1"), factories.raw("2"), key=producer)) == 2
    reply = api.post(ITEMS, {"items": [factories.raw("1"), factories.raw("3")]}, producer)
    found = problem(reply, 429, "backlog_full")
    assert reply.headers["Retry-After"] == "600"  # nothing was ever answered
    assert "2 items and tasks of claims wait" in found["detail"]
    assert [each["state"] for each in api.items(factories.raw("1"), factories.raw("2"), key=producer)] == ["received"] * 2
    route(database, held, 0.97)
    assert api.items(factories.raw("3"), key=producer)[0]["new"] is True
