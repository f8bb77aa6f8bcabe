"""A case whose answer is known, beside a spot check: whatever a person or program is told of it is the same."""

from typing import Any

from sqlalchemy import insert, select

from db.engine import Database
from db.tables import Explanation, ItemKey, Prediction
from review_queue import clock, gold, mixing, projects
from tests import factories
from tests.api.conftest import Api, MakeKey

OWN = {"task_id", "token", "expires_at", "external_id", "item_id", "id", "decided_at", "made_at", "hash", "skips"}
"""What differs between any two cases."""


def alike(told: Any) -> Any:
    """What was told, with a mark in the place of what differs between any two cases."""
    if isinstance(told, dict):
        return {name: "…" if name in OWN else alike(each) for name, each in told.items()}
    return [alike(each) for each in told] if isinstance(told, list) else told


def explained(database: Database, name: str) -> None:
    """A reason for the case, as a worker would have made it."""

    def put(session: Any) -> None:
        item = session.scalar(select(ItemKey.item_id).where(ItemKey.external_id == name))
        model = session.scalar(select(Prediction.model_id).where(Prediction.item_id == item))
        row = {"item_id": item, "model_id": model, "method": "lime.tabular", "label": "pay", "params_hash": "p", "hash": "h"}
        body = {"unit": "probability", "base": 0.0, "contributions": [], "params": {}, "seed": 1, "quality": {}}
        session.execute(insert(Explanation).values(**row, body=body, seconds=0.1, made_at=clock.now()))

    database.write(put)


def both(api: Api, database: Database, key: MakeKey) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
    """A spot check and a gold case in one pair of hands."""
    held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))
    factories.routed(database, held, {"check": factories.says("pay", 0.97)})
    wished = factories.policy(review={"gold": {"rate": 0.5}})
    database.write(projects.apply, held.project, wished, "Read the file.", factories.keys(database).draw_key_id, by=None)
    held = database.read(projects.get, "claims")
    factories.routed(database, held, {"known": factories.says("pay", 0.97)})
    factories.routed(database, held, {"waits": factories.says("pay", 0.6)})
    for name in ("check", "known"):
        explained(database, name)
    owner, bea = factories.person(database, "own", "owner"), factories.person(database, "bea")
    database.write(gold.add, held, "known", "deny", by=owner)
    assert database.write(mixing.put, held, bea.id)
    bears = key("bea", "review")
    cases = {case["external_id"]: case for case in api.take(bears, 5)}
    assert set(cases) == {"check", "known", "waits"}
    return bears, cases["check"], cases["known"]


def test_nothing_tells_a_known_case_from_a_spot_check(api: Api, database: Database, key: MakeKey) -> None:
    bea, check, known = both(api, database, key)
    assert alike(check) == alike(known)
    assert known["blind"] is True
    assert "deny" not in str({name: each for name, each in known.items() if name not in ("labels", "guidelines")})
    replies: list[list[Any]] = []
    for case in (check, known):
        said = {"token": case["token"], "key": f"first {case['task_id']}", "label": "deny", "seconds": 3}
        early = api.decide(case, bea, f"early {case['task_id']}")
        asked = api.get(f"/tasks/{case['task_id']}/explanations", bea, token=case["token"])
        first = api.post(f"/tasks/{case['task_id']}/answer", said, bea)
        again = api.post(f"/tasks/{case['task_id']}/answer", {**said, "label": "pay"}, bea)
        shown = [each for each in api.take(bea, 3) if each["task_id"] == case["task_id"]]
        final = api.decide(case, bea, f"final {case['task_id']}", "correct", label="deny", seconds=1)
        undone = api.post(f"/decisions/{final.json()['id']}/undo", None, bea) if "id" in final.json() else final
        kept = api.decide(case, bea, f"kept {case['task_id']}", "accept")
        late = api.decide(case, bea, f"late {case['task_id']}", "accept")
        replies.append([early, asked, first, again, final, undone, kept, late])
        replies[-1] = [(each.status_code, alike(_without_place(each.json()))) for each in replies[-1]] + [alike(shown)]
    assert replies[0] == replies[1]
    assert replies[1][2][0] in (200, 201)
    assert "pay" in str(replies[1][-1][0]["prediction"])


def _without_place(told: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in told.items() if name not in ("instance", "error_id")}


def test_what_others_see_of_it_and_what_leaves_the_house(
    api: Api, database: Database, key: MakeKey, reader: dict[str, str]
) -> None:
    bea, _, known = both(api, database, key)
    before = api.get("/projects/claims/events", reader).json()
    outcomes = api.get("/projects/claims/items/known", reader).json()["outcomes"]
    api.post(f"/tasks/{known['task_id']}/answer", {"token": known["token"], "key": "f", "label": "deny"}, bea)
    assert api.decide(known, bea, "d", "correct", label="deny").status_code in (200, 201)
    assert api.get("/projects/claims/events", reader).json() == before
    assert api.get("/projects/claims/items/known", reader).json()["outcomes"] == outcomes
