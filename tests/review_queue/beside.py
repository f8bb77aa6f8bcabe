"""A model in shadow that says what a test wants, and people who look at what it differs on."""

from collections.abc import Mapping

from contract.records import Scored
from db.engine import Database
from review_queue import batches, cases, challenges, decisions, shadows
from review_queue.activity import Actor
from review_queue.challenges import Challenge
from review_queue.decisions import Said
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import take

PAY, DENY = factories.says("pay", 0.97), factories.says("deny", 0.97)


def begun(database: Database, held: Setting, share: float = 1.0) -> Challenge:
    """A challenge on a fresh version."""
    return database.write(challenges.begin, held, database.write(factories.version, held), share=share)


def lease(database: Database, held: Setting, worker: str = "w") -> list[batches.Leased]:
    return database.write(batches.lease, held.id, "shadow", worker, limit=1000, seconds=60)


def say(database: Database, held: Setting, answers: Mapping[str, Scored], worker: str = "w") -> int:
    """What every challenge says of the cases that wait."""
    standing = database.read(challenges.standing, held.id)
    said = {item.item_id: {each.id: answers[item.external_id] for each in standing} for item in lease(database, held, worker)}
    return database.write(shadows.keep, held, worker, said, factories.keys(database))


def decide(database: Database, held: Setting, actor: Actor, label: str) -> cases.Case:
    """Take the next case, answer it blind, and stand by that."""
    case = take(database, held, actor)[0]
    assert case.blind
    database.write(decisions.answer, actor, case.task_id, case.token, f"f-{case.task_id}", label)
    verdict = Said(f"d-{case.task_id}", "accept") if label == "pay" else Said(f"d-{case.task_id}", "correct", label)
    database.write(decisions.decide, actor, case.task_id, case.token, verdict)
    return case
