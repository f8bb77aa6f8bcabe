"""Bytes named by their hash."""

import hashlib
import threading

import pytest
from sqlalchemy import func, select, update

from db import blobs
from db.engine import Database
from db.tables import Blob


def test_bytes_come_back_under_their_hash(database: Database) -> None:
    data = bytes(range(256)) * 3
    sha = database.write(blobs.put, data, "image/png")
    assert sha == hashlib.sha256(data).hexdigest()
    assert database.read(blobs.get, sha) == (data, "image/png")
    assert database.read(blobs.get, "0" * 64) is None
    assert database.write(blobs.put, b"", "text/plain") == hashlib.sha256(b"").hexdigest()
    assert database.read(blobs.get, hashlib.sha256(b"").hexdigest()) == (b"", "text/plain")


def test_the_same_bytes_are_kept_once(database: Database) -> None:
    threads = [threading.Thread(target=database.write, args=(blobs.put, b"same", f"text/{n}")) for n in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert database.read(lambda s: s.scalar(select(func.count()).select_from(Blob))) == 1


def test_too_many_bytes_are_refused(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "MOST", 10)
    sqlite.write(blobs.put, b"x" * 10, "a/b")
    with pytest.raises(blobs.BlobTooLarge, match="11 bytes are more than the 10"):
        sqlite.write(blobs.put, b"x" * 11, "a/b")


def test_rows_are_filled_with_the_bytes_they_name(database: Database) -> None:
    one, two = (database.write(blobs.put, data, "a/b") for data in (b"one", b"two"))
    rows = [
        {"image": {"blob": f"sha256:{one}"}, "amount": 3, "note": {"blob": "x", "more": 1}},
        {"image": {"blob": f"sha256:{'0' * 64}"}},
        {"image": {"blob": f"sha256:{two}"}, "again": {"blob": f"sha256:{one}"}},
        {},
    ]
    filled = database.read(blobs.fill, rows)
    assert filled == [
        {"image": b"one", "amount": 3, "note": {"blob": "x", "more": 1}}, {"image": None}, {"image": b"two", "again": b"one"}, {},
    ]  # fmt: skip
    assert rows[0]["image"] == {"blob": f"sha256:{one}"}


def test_bytes_that_were_erased_are_none(sqlite: Database) -> None:
    sha = sqlite.write(blobs.put, b"gone", "a/b")
    sqlite.write(lambda s: s.execute(update(Blob).values(bytes=None)) and None)
    assert sqlite.read(blobs.get, sha) is None
    assert sqlite.read(blobs.fill, [{"image": {"blob": f"sha256:{sha}"}}]) == [{"image": None}]


def test_many_names_are_asked_in_parts(sqlite: Database) -> None:
    shas = [sqlite.write(blobs.put, str(n).encode(), "a/b") for n in range(3)]
    rows = [{"image": {"blob": f"sha256:{shas[n % 3] if n < 1200 else f'{n:064x}'}"}} for n in range(2400)]
    filled = sqlite.read(blobs.fill, rows)
    assert [row["image"] for row in filled[:3]] == [b"0", b"1", b"2"]
    assert {row["image"] for row in filled[1200:]} == {None}
