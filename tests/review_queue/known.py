"""What the tests of gold share: settled disputes, a draw that always hits, and one turn of the house."""

from random import Random
from typing import Any

import pytest

from db.engine import Database
from db.tables import Gold, Task
from review_queue import cases, decisions, gold, keeping, mixing
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import take

POLICY: dict[str, Any] = {"review": {"gold": {"rate": 0.5}}}


class Hits(Random):
    """Every draw hits, and the first of several is chosen."""

    def random(self) -> float:
        return 0.0

    def choice(self, seq: Any) -> Any:
        return seq[0]

    def shuffle(self, x: Any) -> None:
        return None


def always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixing, "CHANCE", Hits())


def named(database: Database, held: Setting, owner: Actor, answers: dict[str, str | None], predicted: str = "pay") -> None:
    """Items that acted alone, whose answers an owner names."""
    factories.routed(database, held, {name: factories.says(predicted, 0.97) for name in answers})
    for name, label in answers.items():
        database.write(gold.add, held, name, label, by=owner)


def say(database: Database, actor: Actor, case: cases.Case, label: str, final: Said | None = None) -> decisions.Stored:
    """Answer a case, blind first where it is; keep the answer, unless told otherwise."""
    if case.blind and not case.first_given:
        database.write(decisions.answer, actor, case.task_id, case.token, f"first/{case.token}", label, 4.0)
    predicted = "pay" if case.prediction is None else case.prediction.label
    verdict: decisions.Verdict = "accept" if label == predicted else "correct"
    said = final or Said(f"final/{case.token}", verdict, label if verdict == "correct" else None, seconds=2.0)
    return database.write(decisions.decide, actor, case.task_id, case.token, said)


def house(database: Database) -> None:
    """One turn of the house-keeping."""
    for chore in keeping.CHORES:
        if database.read(chore.look):
            database.write(chore.verb)


def golden(database: Database, **where: Any) -> list[Task]:
    return factories.tasks(database, kind="gold", **where)


def known(database: Database) -> list[Gold]:
    return database.read(lambda session: list(session.query(Gold).order_by(Gold.item_id)))


def given(database: Database, held: Setting, actor: Actor, waiting: int = 3) -> cases.Case:
    """A gold case in this person's hands: the draw hits with the first case that they take, which they answer."""
    factories.routed(database, held, {f"w{n}": factories.says("pay", 0.6) for n in range(waiting)})
    house(database)
    (first,) = take(database, held, actor)
    house(database)
    say(database, actor, first, "pay")
    for _ in range(waiting):
        (case,) = take(database, held, actor)
        if golden(database, id=case.task_id):
            return case
        say(database, actor, case, "pay")
    raise AssertionError("no gold came")
