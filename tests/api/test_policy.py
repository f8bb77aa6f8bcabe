"""A policy tried over HTTP."""

from typing import Any

import pytest

from db.engine import Database
from review_queue.projects import Setting
from tests import factories
from tests.api.conftest import Api, problem

Key = dict[str, str]
WISH = {"autonomy": "set", "automate": {"at_least": 0.6}, "audit": {"rate": 0.5}, "costs": {"review": 0.5}}
PATH = "/projects/claims/policy/simulate"


def test_a_policy_is_tried_beside_what_is_in_force(api: Api, database: Database, held: Setting, reader: Key) -> None:
    factories.routed(
        database, held, {"1": factories.says("pay", 0.97), "2": factories.says("pay", 0.7), "3": factories.says("deny", 0.55)}
    )
    found = api.post(PATH, {"policy": WISH}, reader).json()
    assert [each["called"] for each in found["outcomes"]] == ["as it was", "in force", "candidate"]
    assert [each["wrong"]["alone"] for each in found["outcomes"]] == [1, 1, 2]
    then = found["outcomes"][-1]
    assert (then["share"], then["load"]["per_day"], then["cost"]["reviews"]) == (pytest.approx(2 / 3), 2.0, 1.0)
    assert (then["wrong"]["value"], then["wrong"]["unknown"]) == (None, 2)
    assert (found["n"], found["read"], found["whole"], found["left_out"]) == (3, 3, True, {})
    assert found["moved"]["newly alone"] == 1
    assert {part["name"]: part["n"] for part in then["labels"]} == {"pay": 2, "deny": 1}


def test_two_policies_side_by_side(api: Api, database: Database, held: Setting, reader: Key) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.97)})
    found = api.post(PATH, {"policy": WISH, "against": {"autonomy": "set"}, "last": 5}, reader).json()
    assert [each["called"] for each in found["outcomes"]] == ["as it was", "against", "candidate"]
    assert [each["wrong"]["alone"] for each in found["outcomes"]] == [1, 0, 1]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {"policy": {"autonomy": "set", "automate": {"at_leest": 1}}},
            "policy.automate.at_leest: unknown key; nearest is at_least",
        ),
        ({"policy": WISH, "against": {"autonomy": "never"}}, "against.autonomy"),
        (
            {"policy": {"autonomy": "set", "automate": {"per_label": {"denied": 1}}}},
            "the project has no such label; nearest is deny",
        ),
        ({"policy": {}}, "policy.autonomy"),
        ({"policy": {**WISH, "automate": {"never": ["amont > 5"]}}}, "knows no 'amont'"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_place(api: Api, held: Setting, reader: Key, body: Any, said: str) -> None:
    assert said in problem(api.post(PATH, body, reader), 422, "invalid")["detail"]


@pytest.mark.parametrize(
    "body", [{}, {"policy": 3}, {"policy": WISH, "last": 0}, {"policy": WISH, "last": 10**9}, {"policy": WISH, "x": 1}]
)
def test_a_wrong_body_is_refused(api: Api, held: Setting, reader: Key, body: Any) -> None:
    problem(api.post(PATH, body, reader), 422, "invalid")


def test_trying_takes_the_scope_read_and_a_project(api: Api, held: Setting, reader: Key, producer: Key, ann: Key) -> None:
    for key in (producer, ann):
        problem(api.post(PATH, {"policy": WISH}, key), 403, "scope_lacks")
    problem(api.post(PATH.replace("claims", "elsewhere"), {"policy": WISH}, reader), 404, "not_found")
