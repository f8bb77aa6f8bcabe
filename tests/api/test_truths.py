"""Truths over HTTP: an answer per row, and what is refused whole."""

from typing import Any

import pytest

from db.engine import Database
from review_queue.projects import Setting
from tests import factories
from tests.api.conftest import Api, MakeKey, problem

PATH = "/projects/claims/truths"


def told(api: Api, key: dict[str, str], *rows: Any) -> list[dict[str, Any]]:
    reply = api.post(PATH, {"truths": list(rows)}, key)
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["truths"]
    return found


def test_each_row_has_its_answer(api: Api, held: Setting, database: Database, producer: dict[str, str], reader: Any) -> None:
    factories.submit(database, held, [factories.raw("1")])
    good = {"external_id": "1", "label": "deny", "known_at": "2026-01-02", "source": "chargeback"}
    first = told(api, producer, good, {"external_id": "2", "label": "pay"}, {"external_id": "1", "label": "x\ud800"}, 7)
    assert [each["state"] for each in first] == ["kept", "invalid", "invalid", "invalid"]
    assert [each["external_id"] for each in first] == ["1", "2", "1", ""]
    assert "send the item first" in first[1]["problem"]
    second = told(api, producer, good, {**good, "label": None, "known_at": "2026-02-02"})
    assert [each["state"] for each in second] == ["known", "kept"]
    assert second[1]["conflict"] == "'deny' was told as of 2026-01-02 by chargeback; no label stands"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"truths": []}, "no_truths"),
        ({"truths": [{}] * 1001}, "too_many_truths"),
        ({"truths": {}}, "invalid"),
        ([], "invalid"),
        ({"truths": [{}], "more": 1}, "invalid"),
    ],
)
def test_what_is_no_list_of_truths_is_refused(api: Api, held: Setting, producer: dict[str, str], body: Any, code: str) -> None:
    problem(api.post(PATH, body, producer), 422, code)


def test_it_takes_a_key_that_produces(api: Api, held: Setting, key: MakeKey) -> None:
    problem(
        api.post(PATH, {"truths": [{"external_id": "1", "label": "pay"}]}, key("olga", "read", role="owner")), 403, "scope_lacks"
    )
