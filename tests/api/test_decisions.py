"""From a claim to the event over HTTP: retries, races, refusals, and what a blind case keeps to itself."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from contract.records import Explanation
from db.engine import Database
from db.tables import Activity, Decision, Routing
from review_queue import clock, explanations
from review_queue.projects import Setting
from tests import factories
from tests.api.conftest import Api, MakeKey, problem

Key = dict[str, str]
CLAIMS = "/projects/claims/claims"
EVENTS = "/projects/claims/events"


def move(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    present = clock.now
    monkeypatch.setattr(clock, "now", lambda: present() + by)


def explain(database: Database) -> None:
    """Keep a reason for every routed item, as the worker does."""
    parts = {"feature": "amount", "value": 120.5, "contribution": 0.71234}
    reason = Explanation("shap-permutation", "pay", "log-odds", 0.1, [parts], {}, 1, "0", {}, 0.1)
    for row in database.read(lambda s: list(s.scalars(select(Routing)))):
        database.write(explanations.store, row.item_id, row.model_id, [reason])


def test_from_claim_to_event(
    api: Api, database: Database, held: Setting, ann: Key, producer: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.routed(database, held, {str(n): factories.says("pay", 0.6 + n / 100) for n in range(3)})
    explain(database)
    case = api.take(ann)[0]
    assert case["guidelines"] == "Read the file."
    assert case["labels"][0] == {"label": "deny", "title": "deny", "key": "d", "guideline": None}
    assert case["reasons"]["reject"]
    assert case["prediction"]["label"] == "pay"
    assert set(case["prediction"]["probabilities"]) == {"deny", "pay"}
    assert case["explanations"][0]["body"]["contributions"][0]["contribution"] == 0.71234
    assert isinstance(case["task_id"], str)
    reasons = api.get(f"/tasks/{case['task_id']}/explanations", ann)
    assert reasons.json()["explanations"] == case["explanations"]

    reply = api.decide(case, ann, "k1", hold=2, seconds=4.5, reasons_shown=[case["explanations"][0]["hash"]])
    assert reply.status_code == 201
    assert reply.json()["decision"]["verdict"] == "accept"
    following = reply.json()["claims"]
    assert len(following) == 2
    assert case["task_id"] not in {each["task_id"] for each in following}
    assert [each["token"] for each in api.take(ann, 2)] == [each["token"] for each in following]

    assert api.get(EVENTS, producer).json() == {"events": [], "next": "0", "more": False}
    move(monkeypatch, timedelta(seconds=16))
    page = api.get(EVENTS, producer, after=0).json()
    assert (page["next"], page["more"]) == ("1", False)
    assert page["events"][0]["kind"] == "outcome"
    assert page["events"][0]["seq"] == "1"
    assert page["events"][0]["body"]["label"] == "pay"
    assert api.get(EVENTS, producer, after=page["next"]).json()["events"] == []
    for after in ("-1", "x", str(2**63)):
        problem(api.get(EVENTS, producer, after=after), 422, "invalid")


def test_events_come_in_pages(api: Api, database: Database, held: Setting, reader: Key) -> None:
    factories.routed(database, held, {str(n): factories.says("pay", 0.97) for n in range(5)})
    first = api.get(EVENTS, reader, limit=3).json()
    rest = api.get(EVENTS, reader, limit=3, after=first["next"]).json()
    assert (len(first["events"]), first["more"], len(rest["events"]), rest["more"]) == (3, True, 2, False)
    assert [int(each["seq"]) for each in first["events"] + rest["events"]] == [1, 2, 3, 4, 5]


def test_there_may_be_nothing_to_do(api: Api, held: Setting, ann: Key) -> None:
    reply = api.post(CLAIMS, {"session": "s"}, ann)
    assert (reply.status_code, reply.content) == (204, b"")


def test_a_retry_gets_the_stored_reply(api: Api, database: Database, held: Setting, ann: Key) -> None:
    factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(3)})
    case = api.take(ann)[0]
    first = api.decide(case, ann, hold=1)
    again = api.decide(case, ann, hold=1)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["decision"] == first.json()["decision"]
    assert [c["token"] for c in again.json()["claims"]] == [c["token"] for c in first.json()["claims"]]
    problem(api.decide(case, ann, verdict="correct", label="deny"), 422, "key_reused")
    problem(api.decide(case, ann, "other"), 409, "already_decided")
    assert len(database.read(lambda s: list(s.scalars(select(Decision))))) == 1


def test_one_act_sent_many_times_at_once_is_stored_once(api: Api, database: Database, held: Setting, ann: Key) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = api.take(ann)[0]
    replies: list[Any] = []
    threads = [threading.Thread(target=lambda: replies.append(api.decide(case, ann))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reply.status_code for reply in replies) == [200] * 5 + [201]
    assert len({reply.json()["decision"]["id"] for reply in replies}) == 1


def test_two_people_after_one_case_at_once(api: Api, database: Database, held: Setting, ann: Key, key: MakeKey) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    bob = key("bob", "review")
    got: dict[str, list[Any]] = {}
    threads = [threading.Thread(target=lambda n=n, k=k: got.update({n: api.take(k)})) for n, k in (("ann", ann), ("bob", bob))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(cases) for cases in got.values()) == [0, 1]
    winner, loser = (ann, bob) if got["ann"] else (bob, ann)
    case = (got["ann"] or got["bob"])[0]
    problem(api.decide(case, loser, "theirs"), 409, "claim_expired")
    problem(api.get(f"/tasks/{case['task_id']}/explanations", loser), 409, "claim_expired")
    assert api.decide(case, winner, "mine").status_code == 201


def test_a_lease_that_went_to_another_is_refused(
    api: Api, database: Database, held: Setting, ann: Key, key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6), "2": factories.says("pay", 0.7)})
    first, second = api.take(ann, 2)
    beat = api.post("/claims/heartbeat", {"tokens": [first["token"], "nobody's"]}, ann).json()
    assert beat == {"renewed": [first["token"]], "lost": ["nobody's"]}
    assert api.post("/claims/release", {"tokens": [second["token"], "x"]}, ann).json() == {"released": 1}
    move(monkeypatch, timedelta(minutes=11))
    assert len(api.take(key("bob", "review"), 2)) == 2
    problem(api.decide(first, ann), 409, "claim_expired")
    assert api.post("/claims/heartbeat", {"tokens": [first["token"]]}, ann).json()["lost"] == [first["token"]]


def test_undo_gives_the_case_back(api: Api, database: Database, held: Setting, ann: Key, key: MakeKey) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = api.take(ann)[0]
    made = api.decide(case, ann).json()["decision"]
    path = f"/decisions/{made['id']}/undo"
    problem(api.post(path, None, key("bob", "review")), 403, "forbidden")
    undone = api.post(path, {"session": "elsewhere"}, ann).json()
    assert (undone["task_id"], undone["claim"]["token"]) == (case["task_id"], case["token"])
    assert [c["token"] for c in api.take(ann, session="elsewhere")] == [case["token"]]
    problem(api.post(path, None, ann), 422, "invalid")
    problem(api.post("/decisions/999/undo", None, ann), 404, "not_found")
    assert api.decide(case, ann, "k2", "correct", label="deny").status_code == 201


def test_what_a_decision_may_not_say(api: Api, database: Database, held: Setting, ann: Key) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = api.take(ann)[0]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"verdict": "correct"}, "needs a label"),
        ({"verdict": "correct", "label": "pya"}, "nearest is pay"),
        ({"verdict": "correct", "label": "pay"}, "accept it"),
        ({"verdict": "reject"}, "needs a reason"),
        ({"verdict": "approve"}, "body.verdict"),
        ({"seconds": -1}, "body.seconds"),
        ({"seconds": "1e999"}, "body.seconds"),
        ({"comment": "x" * 10_001}, "body.comment"),
        ({"comment": "a\x00"}, "NUL"),
        ({"comment": "\ud800"}, "body.comment"),
        ({"act": ""}, "body.key"),
        ({"act": "a\x00"}, "NUL"),
        ({"act": "x" * 201}, "body.key"),
        ({"typo": 1}, "body.typo"),
        ({"hold": 11}, "query.hold"),
        ({"hold": 1, "session": "a\x00"}, "NUL"),
        ({"reasons_shown": ["x"] * 51}, "body.reasons_shown"),
    ]
    for said, words in wrong:
        assert words in problem(api.decide(case, ann, **{"act": "k", **said}), 422, "invalid")["detail"]
    assert [c["token"] for c in api.take(ann)] == [case["token"]]
    body = {"token": case["token"], "key": "k", "verdict": "accept"}
    problem(api.post("/tasks/999/decisions", body, ann), 409, "claim_expired")
    problem(api.post(f"/tasks/{2**63}/decisions", body, ann), 422, "invalid")
    problem(api.post("/tasks/x/decisions", body, ann), 422, "invalid")
    problem(api.raw(f"/tasks/{case['task_id']}/decisions", b'{"seconds": NaN}', ann), 400, "not_json")
    problem(api.raw(f"/tasks/{case['task_id']}/decisions", b"\xff", ann), 400, "not_utf8")
    problem(api.raw(f"/tasks/{case['task_id']}/decisions", b"", ann), 422, "invalid")
    plain = {**ann, "Content-Type": "text/plain"}
    problem(api.raw(f"/tasks/{case['task_id']}/decisions", json.dumps(body), plain), 415, "wrong_media_type")


def test_what_a_claim_may_not_ask(api: Api, held: Setting, ann: Key) -> None:
    wrong = [{"count": 0, "session": "s"}, {"count": 11, "session": "s"}, {"count": 1}, {"session": ""}, {"session": "a\x00"}]
    for body in wrong:
        problem(api.post(CLAIMS, body, ann), 422, "invalid")
    for tokens in ([], ["x"] * 101, ["a\x00"], "x"):
        problem(api.post("/claims/heartbeat", {"tokens": tokens}, ann), 422, "invalid")
        problem(api.post("/claims/release", {"tokens": tokens}, ann), 422, "invalid")


def test_who_decides_is_named_by_key_and_by_act_as(api: Api, database: Database, held: Setting, ann: Key, key: MakeKey) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    jurgen = factories.person(database, "Jürgen")
    desk = key("desk", "review", "act_as")
    named: Any = {**desk, "Signoff-Act-As": "Jürgen".encode()}
    case = api.take(named)[0]
    problem(api.decide(case, desk), 409, "claim_expired")
    assert api.decide(case, named).status_code == 201
    row = database.read(lambda s: s.scalars(select(Decision)).one())
    assert (row.person_id, row.via) == (jurgen.id, "api")
    assert row.recorded_by not in (None, jurgen.id)
    act = database.read(lambda s: s.scalars(select(Activity).where(Activity.verb == "decision.accept")).one())
    assert (act.actor_id, act.for_id) == (row.recorded_by, jurgen.id)


class TestBlind:
    """Drawn work says nothing of the prediction before the first answer is stored."""

    @pytest.fixture
    def held(self, database: Database) -> Setting:
        found = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))
        factories.routed(database, found, {"1": factories.says("pay", 0.9712)})
        explain(database)
        return found

    def test_no_reply_before_the_first_answer_tells_the_prediction(self, api: Api, held: Setting, ann: Key) -> None:
        reply = api.post(CLAIMS, {"session": "s"}, ann)
        case = reply.json()["claims"][0]
        assert (case["blind"], case["first_given"], case["prediction"], case["explanations"]) == (True, False, None, None)
        told = json.dumps({name: value for name, value in case.items() if name not in ("labels", "reasons", "prediction")})
        refused = [
            api.get(f"/tasks/{case['task_id']}/explanations", ann),
            api.decide(case, ann),
            api.decide(case, ann, verdict="correct", label="pay"),
            api.decide(case, ann, verdict="correct", label="deny"),
            api.get("/projects/claims/items/1", ann),
        ]
        assert [r.status_code for r in refused] == [409, 409, 409, 409, 403]
        for secret in ("pay", "0.97", "0.02", "audit", "auto", "confidence", "probabilit", "rank", "shap", "0.71234", "draw"):
            assert secret not in told + "".join(r.text for r in refused), secret

    def test_the_first_answer_opens_the_case_and_stays(self, api: Api, database: Database, held: Setting, ann: Key) -> None:
        case = api.take(ann)[0]
        path = f"/tasks/{case['task_id']}/answer"
        said = {"token": case["token"], "key": "f", "label": "deny", "seconds": 3}
        for body in ({**said, "reject": True}, {**said, "label": None}, {**said, "label": "dney"}, {**said, "key": ""}):
            problem(api.post(path, body, ann), 422, "invalid")
        reply = api.post(path, said, ann)
        assert reply.status_code == 200
        shown = reply.json()["claim"]
        assert (shown["first_label"], shown["first_given"], shown["prediction"]["label"]) == ("deny", True, "pay")
        assert shown["explanations"][0]["method"] == "shap-permutation"
        assert reply.json()["answer"]["stage"] == "first"
        assert api.post(path, said, ann).json() == reply.json()
        problem(api.post(path, {**said, "label": "pay"}, ann), 422, "key_reused")
        problem(api.post(path, {**said, "key": "g"}, ann), 409, "already_decided")
        assert api.get(f"/tasks/{case['task_id']}/explanations", ann).json()["explanations"]
        assert api.decide(case, ann).status_code == 201
        problem(api.post(path, {**said, "key": "h"}, ann), 409, "already_decided")
        assert api.post(path, said, ann).json()["claim"] is None
        rows = database.read(lambda s: list(s.scalars(select(Decision).order_by(Decision.id))))
        assert [(row.stage, row.label) for row in rows] == [("first", "deny"), ("final", "pay")]

    def test_a_first_answer_may_be_a_rejection(self, api: Api, held: Setting, ann: Key) -> None:
        case = api.take(ann)[0]
        said = {"token": case["token"], "key": "f", "reject": True}
        shown = api.post(f"/tasks/{case['task_id']}/answer", said, ann).json()["claim"]
        assert (shown["first_given"], shown["first_label"]) == (True, None)

    def test_a_dispute_shows_its_answers_and_not_whose_they_are(self, api: Api, held: Setting, ann: Key, key: MakeKey) -> None:
        case = api.take(ann)[0]
        api.post(f"/tasks/{case['task_id']}/answer", {"token": case["token"], "key": "f", "label": "deny"}, ann)
        api.decide(case, ann, verdict="correct", label="deny")
        dispute = api.take(key("bob", "review"))[0]
        assert sorted(dispute["answers"]) == ["deny", "pay"]
        assert dispute["prediction"] is None
        assert "ann" not in json.dumps(dispute)


def test_a_case_that_is_not_blind_takes_no_first_answer(api: Api, database: Database, held: Setting, ann: Key) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = api.take(ann)[0]
    body = {"token": case["token"], "key": "f", "label": "pay"}
    assert "not blind" in problem(api.post(f"/tasks/{case['task_id']}/answer", body, ann), 422, "invalid")["detail"]
