"""Erasing over HTTP: all of it or nothing, by an owner's key, and the record says when."""

from typing import Any

import pytest

from db.engine import Database
from review_queue.projects import Setting
from tests import factories
from tests.api.conftest import Api, MakeKey, problem

PATH = "/projects/claims/erasures"


@pytest.fixture
def owner(key: MakeKey) -> dict[str, str]:
    return key("olga", "admin", "read", role="owner")


def test_items_or_a_subject_are_erased(api: Api, held: Setting, database: Database, owner: dict[str, str]) -> None:
    factories.submit(database, held, [{**factories.raw(n), "subject": "p1"} for n in "ab"] + [factories.raw("c")])
    first = api.post(PATH, {"external_ids": ["c"], "why": "asked for"}, owner)
    assert (first.status_code, first.json()["items"]) == (202, [{"external_id": "c", "again": False}])
    second = api.post(PATH, {"subject": "p1"}, owner).json()
    assert [each["external_id"] for each in second["items"]] == ["a", "b"]
    assert api.get(f"/jobs/{second['job']}", owner).json()["kind"] == "erase"
    record = api.get("/projects/claims/items/c", owner).json()
    assert (record["input"], record["erased"]["why"], record["erased"]["by"], record["truths"]) == ({}, "asked for", "olga", [])


@pytest.mark.parametrize(
    "body", [{}, {"external_ids": []}, {"external_ids": ["a"], "subject": "p"}, {"external_ids": ["a"], "x": 1}]
)
def test_what_names_nothing_or_too_much_is_refused(api: Api, held: Setting, owner: dict[str, str], body: Any) -> None:
    problem(api.post(PATH, body, owner), 422, "invalid")


def test_unknown_ids_and_others_than_owners_are_refused(
    api: Api, held: Setting, database: Database, owner: dict[str, str], key: MakeKey
) -> None:
    factories.submit(database, held, [factories.raw("a")])
    problem(api.post(PATH, {"external_ids": ["a", "nobody"]}, owner), 404, "not_found")
    problem(api.post(PATH, {"subject": "nobody"}, owner), 404, "not_found")
    problem(api.post(PATH, {"external_ids": ["a"]}, key("lea", "admin", role="lead")), 403, "forbidden")
    assert api.get("/projects/claims/items/a", owner).json()["erased"] is None
