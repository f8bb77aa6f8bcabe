"""Bytes over HTTP: checked on the way in, harmless on the way out, and only to whom they concern."""

import io
import struct
import zlib

import pytest
from PIL import Image

from app.api import bodies
from db.engine import Database
from review_queue.projects import Setting
from tests import factories
from tests.api.conftest import Api, MakeKey, problem

BLOBS = "/projects/claims/blobs"
Key = dict[str, str]


def png(width: int = 4, height: int = 3) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "blue").save(out, "PNG")
    return out.getvalue()


def large_png(width: int, height: int) -> bytes:
    """A header that claims this size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(b"")))
    chunks = [struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database, factories.project(input={"type": "image"}))


def send(api: Api, key: Key, data: bytes, media_type: str) -> str:
    reply = api.raw(BLOBS, data, {**key, "Content-Type": media_type})
    assert reply.status_code == 201, reply.text
    blob: str = reply.json()["blob"]
    return blob


def test_bytes_are_named_by_their_hash_and_kept_once(api: Api, held: Setting, producer: Key) -> None:
    reply = api.raw(BLOBS, png(), {**producer, "Content-Type": "image/jpeg"})
    assert reply.status_code == 201
    found = reply.json()
    assert (found["media_type"], found["size"]) == ("image/png", len(png()))
    assert send(api, producer, png(), "image/png") == found["blob"]


def test_what_is_no_image_is_refused(api: Api, held: Setting, producer: Key) -> None:
    cases = [
        (b"hello", "is not an image"),
        (png(60, 60)[:80], "is broken"),
        (large_png(10_000, 5_001), "megapixels"),
        (large_png(60_000, 60_000), "megapixels"),
    ]
    for data, words in cases:
        reply = api.raw(BLOBS, data, {**producer, "Content-Type": "image/png"})
        assert words in problem(reply, 422, "bad_image")["detail"]


def test_bodies_that_are_no_blob(api: Api, held: Setting, producer: Key) -> None:
    problem(api.raw(BLOBS, b"", producer), 422, "invalid")
    problem(api.raw(BLOBS, b"x", {**producer, "Content-Type": "nonsense"}), 415, "wrong_media_type")
    problem(api.raw(BLOBS, b"x" * (bodies.LARGE + 1), producer), 413, "too_large")
    assert send(api, producer, b"x" * bodies.LARGE, "application/octet-stream")


def test_only_bytes_of_cases_in_hand_or_of_a_named_item_come_out(
    api: Api, database: Database, held: Setting, producer: Key, reader: Key, ann: Key, key: MakeKey
) -> None:
    blob = send(api, producer, png(), "image/png")
    loose = send(api, producer, b"a model", "application/zip")
    problem(api.get(f"{BLOBS}/{blob}", ann), 404, "not_found")
    factories_item = {"external_id": "1", "input": {"image": {"blob": blob}}}
    assert api.items(factories_item, key=producer)[0]["state"] == "received"
    problem(api.get(f"{BLOBS}/{blob}", reader), 404, "not_found")
    got = api.get(f"{BLOBS}/{blob}", reader, item="1")
    assert got.content == png()
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-disposition"].startswith("attachment")
    problem(api.get(f"{BLOBS}/{loose}", reader, item="1"), 404, "not_found")
    problem(api.get(f"{BLOBS}/{blob}", reader, item="a\x00"), 404, "not_found")
    problem(api.get(f"{BLOBS}/{blob}", producer, item="1"), 403, "scope_lacks")
    problem(api.get(f"{BLOBS}/xyz", reader), 422, "invalid")


def test_a_reviewer_sees_the_bytes_of_a_case_in_hand(
    api: Api, database: Database, held: Setting, producer: Key, ann: Key, key: MakeKey
) -> None:
    from tests.api.test_items import route

    blob = send(api, producer, png(), "image/png")
    api.items({"external_id": "1", "input": {"image": {"blob": blob}}}, key=producer)
    route(database, held)
    assert api.take(ann)[0]["input"] == {"image": {"blob": blob}}
    assert api.get(f"{BLOBS}/{blob}", ann).content == png()
    problem(api.get(f"{BLOBS}/{blob}", key("bob", "review")), 404, "not_found")


def test_nothing_that_runs_in_a_browser_comes_out_as_that(api: Api, held: Setting, producer: Key, reader: Key) -> None:
    for media_type in ("text/html", "application/xhtml+xml", "text/javascript", "application/pdf"):
        blob = send(api, producer, f"<script>{media_type}".encode(), media_type)
        api.items({"external_id": media_type, "input": {"image": {"blob": blob}}}, key=producer)
        got = api.get(f"{BLOBS}/{blob}", reader, item=media_type)
        assert got.headers["content-type"] == "application/octet-stream"
        assert "sandbox" in got.headers["content-security-policy"]
