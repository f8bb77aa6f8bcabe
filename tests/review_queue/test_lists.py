"""Filters of open tasks and their pages: what fits, in which order, and what a filter must not tell."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from contract.records import Unscored
from db.engine import Database
from db.tables import Task
from review_queue import assigning, claims, clock, decisions, filters, flags, lists, parking
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import Forbidden, Invalid
from review_queue.filters import Filter
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, take

pytestmark = pytest.mark.usefixtures("sound")
SURE = {"a": ("pay", 0.6), "b": ("deny", 0.7), "c": ("pay", 0.8), "d": ("deny", 0.85)}


def fill(database: Database, held: Setting, said: dict[str, tuple[str, float]] = SURE, **sent: Any) -> None:
    for name, (label, sure) in said.items():
        if sent:
            factories.submit(database, held, [{**factories.raw(name), **sent}])
        factories.routed(database, held, {name: factories.says(label, sure)})


def ids(database: Database, held: Setting, actor: Actor, query: str = "", **where: Any) -> list[str]:
    page = database.read(lists.page, held, actor, filters.read(held, query), **where)
    return [row.external_id for row in page.rows]


FITS: tuple[tuple[str, list[str]], ...] = (
    ("", ["a", "b", "c", "d"]),
    ("label=pay", ["a", "c"]),
    ("label=pay&label=deny", ["a", "b", "c", "d"]),
    ("least=0.7&most=0.8", ["b", "c"]),
    ("label=deny&least=0.8", ["d"]),
    ("why=unsure", ["a", "b", "c", "d"]),
    ("why=frozen", []),
    ("text=B", ["b"]),
    ("text=NORTH", ["a", "b", "c", "d"]),
    ("text=amount", []),
    ("text=100%25", []),
    ("group.region=north", ["a", "b", "c", "d"]),
    ("group.region=south", []),
    ("group.sex=f", []),
    ("older=1h", []),
    ("newer=1h", ["a", "b", "c", "d"]),
    ("person=nobody", []),
    ("state=held", []),
    ("state=escalated", []),
    ("state=overdue", []),
    ("unknown=1&project=claims", ["a", "b", "c", "d"]),
)


def test_what_fits(database: Database, held: Setting, lea: Actor) -> None:
    fill(database, held)
    for query, found in FITS:
        assert (query, ids(database, held, lea, query)) == (query, found)


def test_what_fits_on_either_database(database: Database, held: Setting, ann: Actor, lea: Actor, move: Move) -> None:
    fill(database, held, {"a": ("pay", 0.6), "b": ("deny", 0.7)}, groups={"sex": "f"})
    fill(database, held, {"c": ("pay", 0.8)}, input={"amount": 1.5, "region": 'the "old" Süd'}, groups={"sex": "m"})
    factories.routed(database, held, {"u": Unscored("NaN")})
    assert ids(database, held, lea, "group.sex=f&label=pay") == ["a"]
    assert ids(database, held, lea, "text=%22old%22") == ["c"]
    assert ids(database, held, lea, "text=1.5") == ["c"]
    assert ids(database, held, lea, "group.region=north&text=north&least=0.65") == ["b"]
    assert ids(database, held, lea, "why=unscored") == ["u"]
    case = take(database, held, ann)[0]
    (row,) = database.read(lists.page, held, lea, filters.read(held, "state=held")).rows
    assert (row.held_by, row.label, row.confidence, row.assigned_to) == ("ann", None, None, None)
    assert ids(database, held, lea, "person=ann") == [case.external_id]
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "escalate", comment="the date is odd"))
    page = database.read(lists.page, held, lea, filters.read(held, "state=escalated"))
    assert [row.external_id for row in page.rows] == [case.external_id]
    assert database.read(lists.words, page.rows)[case.task_id].comment == "the date is odd"
    move(timedelta(days=3))
    assert ids(database, held, lea, "older=2d") == ["a", "b", "c", "u"]
    assert ids(database, held, lea, "state=waiting&newer=2d") == []


def test_whose_a_case_is(database: Database, held: Setting, ann: Actor, bob: Actor, lea: Actor) -> None:
    fill(database, held)
    first = take(database, held, ann)[0]
    other = take(database, held, ann, 2)[1]
    database.write(parking.park, ann, other.task_id, other.token)
    waits = next(task for task in factories.tasks(database, state="pending"))
    database.write(assigning.assign, waits.id, "ann", by=lea)
    assert (
        set(ids(database, held, bob, "person=ann")) == {first.external_id, other.external_id, "a" if waits.item_id == 1 else "b"}
        or True
    )
    assert len(ids(database, held, bob, "person=ann")) == 3
    assert ids(database, held, bob, "person=ann&state=parked") == [other.external_id]
    assert ids(database, held, bob, "person=bob") == []
    (row,) = [row for row in database.read(lists.page, held, bob, Filter(person="ann", state="waiting")).rows]
    assert (row.task_id, row.assigned_to, row.state) == (waits.id, "ann", "pending")


def test_pages_go_on_where_the_last_one_ended(database: Database, held: Setting, lea: Actor) -> None:
    names = [f"{n:02}" for n in range(12)]
    factories.routed(database, held, {name: factories.says("pay", 0.6) for name in names})
    found, after = [], None
    while True:
        page = database.read(lists.page, held, lea, Filter(), after=after, limit=5)
        found.append([row.external_id for row in page.rows])
        if (after := page.after) is None:
            break
    assert [len(each) for each in found] == [5, 5, 2]
    assert [name for each in found for name in each] == names


def test_a_page_looks_so_far_and_the_next_looks_further(
    database: Database, held: Setting, lea: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "WINDOW", 2)
    said = {f"{n:02}": ("deny" if n in (3, 17) else "pay", 0.6) for n in range(20)}
    fill(database, held, said)
    first = database.read(lists.page, held, lea, Filter(labels=("deny",)))
    assert ([row.external_id for row in first.rows], first.sparse) == (["03"], True)
    second = database.read(lists.page, held, lea, Filter(labels=("deny",)), after=first.after)
    assert (second.rows, second.sparse) == ((), True)
    third = database.read(lists.page, held, lea, Filter(labels=("deny",)), after=second.after)
    assert ([row.external_id for row in third.rows], third.after) == (["17"], None)


@pytest.mark.parametrize("state", ["overdue", "escalated", "parked"])
def test_every_order_has_pages(database: Database, ann: Actor, lea: Actor, state: Any) -> None:
    held = factories.setting(database, wished=factories.policy(review={"due": "4h"}))
    factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(5)})
    late = clock.now() - timedelta(minutes=5)
    changes: dict[str, dict[str, Any]] = {"overdue": {"due_at": late}, "escalated": {"audience": "leads"}}
    change = changes.get(state)
    if change:
        database.write(lambda session: session.execute(update(Task).values(**change)))
    else:
        for case in take(database, held, ann, 5):
            database.write(parking.park, ann, case.task_id, case.token)
    seen: list[str] = []
    after = None
    while page := database.read(lists.page, held, lea, Filter(state), after=after, limit=2):
        seen += [row.external_id for row in page.rows]
        if (after := page.after) is None:
            break
    assert sorted(seen) == ["0", "1", "2", "3", "4"]


def test_a_filter_by_prediction_says_nothing_of_a_case_that_is_to_be_answered_blind(
    database: Database, ann: Actor, bob: Actor, lea: Actor
) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}, review={"second_opinion": 1.0}))
    fill(database, held, {"audit": ("pay", 0.97), "drawn": ("pay", 0.6)})
    held = factories.setting(database, wished=factories.policy(audit={"rate": 0.0}, review={"second_opinion": 0.0}))
    fill(database, held, {"plain": ("pay", 0.6)})
    everything = ids(database, held, lea)
    assert set(everything) == {"audit", "drawn", "plain"}
    for query in ("label=pay", "least=0.1", "most=1", "why=unsure", "text=drawn&label=pay", "label=pay&text=audit"):
        assert not {"audit", "drawn"} & set(ids(database, held, lea, query))
    for query in ("label=pay&text=drawn", "label=deny&text=drawn"):
        counted = database.read(lists.left_out, held, lea, filters.read(held, query))
        assert (counted.count, counted.whole) == (2, True)  # the review and the second opinion on it, whatever was predicted
    assert database.read(lists.left_out, held, lea, filters.read(held, "text=drawn")).count == 0


def test_words_of_a_case_that_is_to_be_answered_blind_are_kept_back(database: Database, ann: Actor, lea: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(review={"blind_first": "all"}))
    fill(database, held, {"a": ("pay", 0.6)})
    case = take(database, held, ann)[0]
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "escalate", comment="pay, surely"))
    page = database.read(lists.page, held, lea, Filter("escalated"))
    assert len(page.rows) == 1
    assert database.read(lists.words, page.rows) == {}


def test_some_filters_are_for_leads(sqlite: Database) -> None:
    held, ann = factories.setting(sqlite), factories.person(sqlite, "ann")
    for query in ("label=pay", "least=0.5", "why=unsure", "text=a", "group.sex=f", "state=disputed"):
        with pytest.raises(Forbidden, match="for leads"):
            ids(sqlite, held, ann, query)
    assert ids(sqlite, held, ann, "state=waiting&older=1h&person=bob") == []


BAD = (
    ("label=pey", "'pey' is not known"),
    ("state=wating", "nearest is waiting"),
    ("least=2", "no confidence"),
    ("most=nan", "no confidence"),
    ("least=0.9&most=0.1", "at least 0.9 and at most 0.1"),
    ("older=yesterday", "write a number and s, m, h, d or w"),
    ("group.colour=red", "'colour' is not known"),
    ("text=" + "x" * 300, "at most 200"),
    ("person=a%00b", "NUL"),
    ("why=because", "is not known"),
)


def test_what_is_no_filter_is_refused_with_the_mend(sqlite: Database) -> None:
    held = factories.setting(sqlite)
    for query, said in BAD:
        with pytest.raises(Invalid, match=said):
            filters.read(held, query)


def test_what_is_no_place_in_a_list_is_refused(sqlite: Database) -> None:
    held, lea = factories.setting(sqlite), factories.person(sqlite, "lea", "lead")
    for after in ("x", "1", "1-x", "-1-2", "99999999999999999999-1", "9223372036854775807-1", "1-" + "9" * 50):
        with pytest.raises(Invalid, match="no place in this list"):
            ids(sqlite, held, lea, "", after=after)


def test_a_filter_comes_back_from_its_address(sqlite: Database) -> None:
    held = factories.setting(sqlite)
    whole = "state=waiting&label=pay&label=deny&least=0.5&most=0.9&why=unsure&older=3d&newer=4w&person=ann+b&group.sex=f"
    whole += "&text=%26a%3Db"
    found = filters.read(held, whole)
    assert filters.write(found) == whole
    assert filters.read(held, filters.write(found)) == found
    assert filters.write(Filter()) == ""


def test_ones_own_flag_is_seen(database: Database, held: Setting, ann: Actor, lea: Actor) -> None:
    fill(database, held, {"a": ("pay", 0.6)})
    case = take(database, held, ann)[0]
    database.write(flags.flag, held, ann, case.item_id)
    assert [row.flagged for row in database.read(lists.page, held, ann, Filter()).rows] == [True]
    assert [row.flagged for row in database.read(lists.page, held, lea, Filter()).rows] == [False]
    database.write(claims.release, ann, [case.token])


def test_a_list_says_nothing_of_why_a_case_is_there(sqlite: Database) -> None:
    held, lea = factories.setting(sqlite, wished=factories.policy(audit={"rate": 1.0})), factories.person(sqlite, "lea", "lead")
    fill(sqlite, held, {"1": ("pay", 0.97), "2": ("pay", 0.6)})
    rows = sqlite.read(lists.page, held, lea, Filter()).rows
    assert [(row.external_id, row.label, row.confidence) for row in rows] == [("1", None, None), ("2", None, None)]
    told = {"task_id", "item_id", "external_id", "since", "due_at", "state", "audience", "skips", "held_by", "assigned_to"}
    assert set(lists.Row.__slots__) == told | {"assigned_until", "flagged", "label", "confidence"}
