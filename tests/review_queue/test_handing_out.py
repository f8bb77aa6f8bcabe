"""Many claimers on many tasks: each task handed out once, and those of claimers who die once more."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from random import Random
from threading import Thread

import pytest
from sqlalchemy import func, select

from db.engine import Database
from db.tables import Claim, Task
from review_queue import checks, claims, decisions
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move

CLAIMERS, DYING = 50, 5
LEASE = timedelta(minutes=10)
AT_ONCE = 1_000


class Claimer:
    """Takes cases in tens; decides them where it is told to; may die holding what it took last."""

    def __init__(self, database: Database, held: Setting, actor: Actor) -> None:
        self._database, self._held, self.actor = database, held, actor
        self.took: list[int] = []
        self.left: list[int] = []

    def take(self) -> None:
        while self._next():
            pass

    def decide(self) -> None:
        while taken := self._next():
            for each in taken:
                said = Said(f"{self.actor.name}-{each.task_id}", "accept")
                self._database.write(decisions.decide, self.actor, each.task_id, each.token, said)

    def die(self, after: int) -> None:
        """Decide for some rounds, then take what nobody else may have until the lease is over."""
        for _ in range(after):
            for each in self._next():
                said = Said(f"{self.actor.name}-{each.task_id}", "accept")
                self._database.write(decisions.decide, self.actor, each.task_id, each.token, said)
        self.left = [each.task_id for each in self._next()]

    def _next(self) -> list[claims.Held]:
        name = f"s{len(self.took)}"
        taken = self._database.write(claims.claim, self._held.id, self.actor, name, claims.MOST, LEASE)
        self.took += [each.task_id for each in taken]
        return taken


@pytest.fixture
def claimers(database: Database, held: Setting) -> list[Claimer]:
    return [Claimer(database, held, factories.person(database, f"p{n}")) for n in range(CLAIMERS)]


def fill(database: Database, held: Setting, tasks: int) -> None:
    for begin in range(0, tasks, AT_ONCE):
        answers = {str(n): factories.says("pay", 0.6) for n in range(begin, min(begin + AT_ONCE, tasks))}
        factories.routed(database, held, answers)


def side_by_side(acts: list[Callable[[], None]]) -> None:
    threads = [Thread(target=act) for act in acts]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]


def each_once(database: Database, held: Setting, claimers: list[Claimer], tasks: int) -> None:
    fill(database, held, tasks)
    side_by_side([claimer.take for claimer in claimers])
    took = Counter(task for claimer in claimers for task in claimer.took)
    assert len(took) == tasks
    assert set(took.values()) == {1}
    assert count(database, Claim, Claim.state == "held") == count(database, Claim) == tasks
    assert database.read(checks.problems) == []


def the_dead_ones_again(database: Database, held: Setting, claimers: list[Claimer], tasks: int, move: Move) -> None:
    chance, dying, living = Random(20261127), claimers[:DYING], claimers[DYING:]
    fill(database, held, tasks)
    most = max(tasks // CLAIMERS // claims.MOST, 1)
    acts = [lambda c=c: c.die(chance.randrange(most)) for c in dying]
    acts.pop()()  # one surely holds what it took; when the others die is chance
    side_by_side([*acts, *(claimer.decide for claimer in living)])
    left = [task for claimer in dying for task in claimer.left]
    took = Counter(task for claimer in claimers for task in claimer.took)
    assert set(took.values()) == {1}
    assert left
    assert count(database, Task, Task.state == "completed") == tasks - len(left)
    move(LEASE + timedelta(seconds=1))
    side_by_side([claimer.decide for claimer in living])
    took = Counter(task for claimer in claimers for task in claimer.took)
    assert took == Counter(list(took)) + Counter(left)
    assert count(database, Task, Task.state == "completed") == tasks
    assert count(database, Claim, Claim.state == "expired") == len(left)
    assert count(database, Claim, Claim.state == "answered") == tasks
    assert database.read(checks.problems) == []


def count(database: Database, table: type, *where: object) -> int:
    return database.read(lambda s: s.scalar(select(func.count()).select_from(table).where(*where))) or 0  # type: ignore[arg-type]


def test_each_task_is_handed_out_once(database: Database, held: Setting, claimers: list[Claimer]) -> None:
    each_once(database, held, claimers, 1_000)


def test_what_a_tenth_leaves_lying_is_handed_out_once_more(
    database: Database, held: Setting, claimers: list[Claimer], move: Move
) -> None:
    the_dead_ones_again(database, held, claimers, 1_000, move)


@pytest.mark.slow
def test_each_of_ten_thousand_is_handed_out_once(database: Database, held: Setting, claimers: list[Claimer]) -> None:
    each_once(database, held, claimers, 10_000)


@pytest.mark.slow
def test_of_ten_thousand_what_a_tenth_leaves_lying_is_handed_out_once_more(
    database: Database, held: Setting, claimers: list[Claimer], move: Move
) -> None:
    the_dead_ones_again(database, held, claimers, 10_000, move)
