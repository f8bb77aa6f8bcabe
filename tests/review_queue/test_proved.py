"""Who was right, by what later proved true."""

from datetime import UTC, datetime

import pytest

from db.engine import Database
from review_queue import decisions, exact, proved, truths
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.projects import Setting
from review_queue.truths import Told
from tests import factories
from tests.review_queue.acting import take

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def tell(database: Database, held: Setting, **labels: str | None) -> None:
    database.write(truths.keep, held, [Told(name, label, MONDAY) for name, label in labels.items()], by=None)


@pytest.fixture
def lived(database: Database, held: Setting, ann: Actor) -> Setting:
    """Four that people answered, of which two otherwise than predicted; two that acted alone."""
    factories.routed(database, held, {name: factories.says("pay", 0.6) for name in "abcd"})
    factories.routed(database, held, {name: factories.says("pay", 0.97) for name in "ef"})
    said = {"a": Said("a", "accept"), "b": Said("b", "correct", "deny"), "c": Said("c", "reject", reason="no label fits")}
    for case in take(database, held, ann, 4):
        answer = said.get(case.external_id, Said("d", "accept"))
        database.write(decisions.decide, ann, case.task_id, case.token, answer)
    return held


def test_each_is_held_against_the_truth(database: Database, lived: Setting) -> None:
    tell(database, lived, a="pay", b="deny", c="pay", d="deny", e="pay", f="deny")
    found = database.read(proved.figures, lived.id)
    assert (found.n, found.whole) == (6, True)
    assert (found.model.part, found.model.of) == (3, 6)
    assert (found.alone.part, found.alone.of) == (1, 2)
    assert (found.people.part, found.people.of) == (2, 4)
    assert (found.differing.n, found.differing.model.part, found.differing.people.part) == (2, 1, 1)
    assert [(each.label, each.n, each.model.part, each.people.part) for each in found.labels] == [
        ("deny", 3, 0, 1),
        ("pay", 3, 3, 1),
    ]
    assert (found.model.low, found.model.high) == exact.interval(3, 6)


def test_no_label_is_a_truth_and_a_rejection_is_right_then(database: Database, lived: Setting) -> None:
    tell(database, lived, c=None)
    found = database.read(proved.figures, lived.id)
    assert (found.model.part, found.people.part, found.labels[0].label) == (0, 1, None)


def test_the_latest_are_looked_at_and_nothing_is_no_figure(database: Database, lived: Setting) -> None:
    nothing = database.read(proved.figures, lived.id)
    assert (nothing.n, nothing.model, nothing.labels) == (0, proved.Right(0, 0, None, None), ())
    tell(database, lived, a="pay", b="deny")
    tell(database, lived, e="pay")
    found = database.read(proved.figures, lived.id, 1)
    assert (found.n, found.whole, found.alone.of) == (1, False, 1)
