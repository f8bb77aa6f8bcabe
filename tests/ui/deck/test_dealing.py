"""What a deck says is stored once and in order, whatever is repeated; what it gets holds nothing that it may not show."""

import json
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app.ui.deck import acts, dealing
from app.ui.deck.dealing import Ask, Look, Table, Wish
from db.engine import Database
from db.tables import Decision, Flag
from review_queue import claims
from review_queue.activity import Actor
from review_queue.errors import Forbidden, NotFound
from review_queue.preferences import Preferences
from review_queue.projects import Setting
from tests import factories
from tests.ui.deck.conftest import SEAT, Deal

WHOLE = {"act": "decide", "key": "a-key-of-eight", "task": 1, "token": "a-token-of-a-case", "verdict": "accept"}
SURE = {f"c-{n}": factories.says("pay", 0.6) for n in range(6)}


def rows(database: Database) -> list[Decision]:
    return database.read(lambda session: list(session.scalars(select(Decision).order_by(Decision.id))))


def accept(card: dict[str, Any], n: int = 0) -> dict[str, Any]:
    told = {"task": card["task"], "token": card["token"], "verdict": "accept", "seconds": 1.5, "shown": card["shown"]}
    return {"act": "decide", "key": f"key-of-{card['name']}-{n}", **told}


def words(ack: dict[str, Any]) -> str:
    return str(ack["words"])


@pytest.fixture
def cards(database: Database, setting: Setting, deal: Deal) -> list[dict[str, Any]]:
    factories.routed(database, setting, SURE)
    dealt: list[dict[str, Any]] = deal()["cases"]
    return dealt


def test_the_next_cases_come_once_and_are_topped_up(cards: list[dict[str, Any]], deal: Deal) -> None:
    held = [card["token"] for card in cards]
    assert len(cards) == 3
    assert deal(held=held)["cases"] == []
    after = deal(held=held, said=[accept(cards[0])])
    assert [ack["ok"] for ack in after["acks"]] == [True]
    assert len(after["cases"]) == 1
    assert after["lost"] == []
    assert after["waiting"] == 2
    assert deal(want=0)["cases"] != []  # what is held comes where the deck says that it has nothing


def test_a_list_that_is_sent_again_is_stored_once_and_in_order(
    database: Database, cards: list[dict[str, Any]], deal: Deal
) -> None:
    said = [accept(card) for card in cards]
    first, again = deal(said=said)["acks"], deal(said=said)["acks"]
    assert [words(ack) for ack in first] == ["Accepted: pay"] * 3
    assert again == first
    assert [row.key for row in rows(database)] == [act["key"] for act in said]
    assert {row.seconds for row in rows(database)} == {1.5}


def test_taking_back_is_once_however_often_it_is_said(database: Database, cards: list[dict[str, Any]], deal: Deal) -> None:
    said = [accept(card) for card in cards[:2]]
    undo = {"act": "undo", "key": "undo-the-second", "decided": said[1]["key"], "token": cards[1]["token"]}
    told = deal(said=[*said, undo], held=[cards[2]["token"]])
    assert [ack["token"] for ack in told["acks"]] == [None, None, cards[1]["token"]]
    assert cards[1]["token"] in [card["token"] for card in told["cases"]]
    assert deal(said=[undo])["acks"][0]["ok"]
    assert deal(said=[{**undo, "key": "undo-once-more"}])["acks"][0]["words"].startswith("Taken back")
    again = deal(said=[accept(cards[1], 2)])["acks"]
    assert again[0]["ok"]
    assert len(rows(database)) == 3
    late = deal(said=[{**undo, "key": "undo-much-later"}])["acks"][0]
    assert (late["ok"], "can no longer be taken back" in late["words"]) == (False, True)


def test_the_last_act_of_before_can_be_taken_back(cards: list[dict[str, Any]], deal: Deal) -> None:
    assert deal(last=True)["last"] is None
    deal(said=[accept(cards[0])])
    assert deal(last=True)["last"] == {"decided": accept(cards[0])["key"], "parked": None}
    deal(said=[{"act": "park", "key": "park-the-second", "task": cards[1]["task"], "token": cards[1]["token"]}])
    last = deal(last=True)["last"]
    assert last == {"decided": None, "parked": cards[1]["token"]}
    undo = {"act": "undo", "key": "undo-the-parking", "parked": last["parked"]}
    assert [deal(said=[undo])["acks"][0]["token"] for _ in range(2)] == [cards[1]["token"]] * 2


def test_what_was_never_stored_is_not_taken_back(deal: Deal) -> None:
    for aim in ({"decided": "no-such-key"}, {"parked": "no-such-token"}, {}):
        ack = deal(said=[{"act": "undo", "key": "undo-nothing", **aim}])["acks"][0]
        assert (ack["ok"], ack["words"]) == (False, "that was never stored, so there is nothing to take back")


def test_a_refusal_is_an_answer_and_the_rest_goes_on(database: Database, cards: list[dict[str, Any]], deal: Deal) -> None:
    wrong = {**accept(cards[0]), "verdict": "correct", "label": "nothing of ours"}
    told = deal(said=[wrong, accept(cards[1])])
    assert [ack["ok"] for ack in told["acks"]] == [False, True]
    assert "no label 'nothing of ours'" in words(told["acks"][0])
    assert told["acks"][0]["token"] == cards[0]["token"]
    assert cards[0]["token"] in told["held"]
    assert len(rows(database)) == 1


def test_a_parking_that_cannot_be_read_leaves_the_case_in_hand(cards: list[dict[str, Any]], deal: Deal) -> None:
    park = {"act": "park", "key": "park-the-first", "task": cards[0]["task"], "token": cards[0]["token"], "day": "next week-ish"}
    told = deal(said=[park])
    assert not told["acks"][0]["ok"]
    assert words(told["acks"][0]).startswith("next week-ish ")
    assert cards[0]["token"] in told["held"]
    assert deal(said=[{**park, "day": "5d", "note": "ask"}])["acks"][0]["words"].startswith("Parked until 20")


@pytest.mark.parametrize(
    "act",
    [
        {},
        {"act": "dance", "key": "a-key-of-eight"},
        {"act": "decide", "key": "a-key-of-eight"},
        {"act": "decide", "key": "a-key-of-eight", "task": 1, "token": "a-token-of-a-case", "verdict": "accept", "more": 1},
        {
            "act": "decide",
            "key": "a-key-of-eight",
            "task": 1,
            "token": "a-token-of-a-case",
            "verdict": "accept",
            "shown": ["<b>"],
        },
        {"act": "flag", "key": "short", "item": 1, "up": True},
        {"act": "answer", "key": ["a"], "task": "x"},
        {**WHOLE, "key": "a\ud800-key-of-eight"},
        {**WHOLE, "task": 10**30},
        {**WHOLE, "token": "a-token\x00of-a-case"},
        {**WHOLE, "comment": "a lone \ud800"},
        {"act": "flag", "key": "a-key-of-eight", "item": 10**30, "up": True},
        {"act": "undo", "key": "a-key-of-eight", "decided": "a-key\x00of-eight"},
    ],
)
def test_what_is_not_understood_is_said_so_and_stays_nobodys_obstacle(
    cards: list[dict[str, Any]], deal: Deal, act: dict[str, Any]
) -> None:
    first, second = deal(said=[act, accept(cards[0])])["acks"]
    assert (first["ok"], first["words"]) == (False, acts.UNREAD)
    assert json.dumps(first, ensure_ascii=False).encode()
    assert second["ok"]


def test_a_flag_is_as_it_was_said_last(database: Database, cards: list[dict[str, Any]], deal: Deal) -> None:
    up = {"act": "flag", "key": "flag-it-once", "item": cards[0]["item"], "up": True}
    assert [ack["ok"] for ack in deal(said=[up, up])["acks"]] == [True, True]
    assert len(database.read(lambda session: list(session.scalars(select(Flag).filter_by(ended_at=None))))) == 1
    fresh = deal(want=0)["cases"]
    assert [card["flagged"] for card in fresh] == [card["item"] == cards[0]["item"] for card in fresh]
    deal(said=[{**up, "up": False}])
    assert database.read(lambda session: list(session.scalars(select(Flag).filter_by(ended_at=None)))) == []


def test_a_case_that_was_taken_away_is_lost_with_its_own_sentence(
    database: Database, cards: list[dict[str, Any]], deal: Deal, lea: Actor
) -> None:
    database.write(claims.release_of, cards[0]["task"], by=lea)
    database.write(claims.release_of, cards[1]["task"], by=lea)
    told = deal(held=[card["token"] for card in cards], said=[accept(cards[1])], want=0)
    assert [(token, "A lead took" in sentence) for token, sentence in told["lost"]] == [(cards[0]["token"], True)]
    assert "A lead took this case from you" in words(told["acks"][0])
    assert rows(database) == []


def test_what_was_stored_is_acknowledged_where_the_database_goes_in_the_middle(
    cards: list[dict[str, Any]], deal: Deal, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = acts.once_more, []

    def falters(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise OperationalError("select", {}, Exception("gone"))
        return whole(*args, **kwargs)

    monkeypatch.setattr(acts, "once_more", falters)
    said = [accept(card) for card in cards]
    told = deal(said=said)
    assert [ack["key"] for ack in told["acks"]] == [said[0]["key"]]
    assert told["away"]
    assert [ack["ok"] for ack in deal(said=said[1:])["acks"]] == [True, True]


def test_a_blind_case_holds_nothing_of_the_prediction_before_its_answer(database: Database, open_desk: None, ann: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(review={"blind_first": "all"}))
    factories.routed(database, held, {"c-1": factories.says("pay", 0.7341)})
    table = dealing.table(database, held, ann, Preferences(), Wish(seat=SEAT, person=ann.id))

    def send(**wish: Any) -> dict[str, Any]:
        return dealing.deal(table, Wish.model_validate({"seat": SEAT, "person": ann.id, "want": 3, **wish}))

    (card,) = send(full=True)["cases"]
    assert (card["blind"], card["predicted"], card["shown"], card["why"], card["full"]) == (True, None, None, False, False)
    for secret in ("73", "7341", "in 4", "so-chance", "pay, about"):
        assert secret not in json.dumps([card["case"], card["said"]]), secret
    aim = {"seat": SEAT, "person": ann.id, "token": card["token"]}
    with pytest.raises(Forbidden, match="your answer comes first"):
        dealing.ask(table, Ask(**aim, method="lime.tabular", label="pay"))
    assert not dealing.look(table, Look(**aim, full=True))["card"]["full"]
    early = {"act": "decide", "key": "decide-too-early", "task": card["task"], "token": card["token"], "verdict": "accept"}
    assert not send(said=[early], held=[card["token"]])["acks"][0]["ok"]
    answer = {"act": "answer", "key": "answer-the-first", "task": card["task"], "token": card["token"], "label": "deny"}
    told = send(said=[answer, answer])
    assert [words(ack) for ack in told["acks"]] == ["Your answer: deny"] * 2
    (shown,) = told["cases"]
    assert (shown["blind"], shown["given"], shown["first"], shown["predicted"]) == (False, True, "deny", "pay")
    assert "so-chance" in json.dumps(shown["said"])
    kept = {"act": "decide", "key": "keep-the-answer", "task": card["task"], "token": card["token"]}
    assert send(said=[{**kept, "verdict": "correct", "label": "deny"}])["acks"][0]["ok"]
    assert [(row.stage, row.label) for row in rows(database)] == [("first", "deny"), ("final", "deny")]


def test_only_who_decides_here_sits_at_the_table(database: Database, setting: Setting, ann: Actor, lea: Actor) -> None:
    eve = factories.person(database, "eve", "viewer")
    with pytest.raises(Forbidden, match="viewer"):
        dealing.table(database, setting, eve, Preferences(), Wish(seat=SEAT, person=eve.id))
    with pytest.raises(Forbidden, match="drawn for somebody else"):
        dealing.table(database, setting, ann, Preferences(), Wish(seat=SEAT, person=lea.id))


def test_anothers_case_cannot_be_looked_at(database: Database, setting: Setting, cards: list[dict[str, Any]], lea: Actor) -> None:
    other = dealing.table(database, setting, lea, Preferences(), Wish(seat=SEAT, person=lea.id))
    with pytest.raises(NotFound):
        dealing.look(other, Look(seat=SEAT, person=lea.id, token=cards[0]["token"]))


def test_a_case_in_full_says_what_may_be_asked_for(table: Table, cards: list[dict[str, Any]]) -> None:
    aim = {"seat": SEAT, "person": table.seat.actor.id, "token": cards[0]["token"]}
    card = dealing.look(table, Look(**aim, full=True, hurry=True))["card"]
    assert (card["full"], card["awaited"], card["asks"], card["runner_up"]) == (True, True, None, None)
