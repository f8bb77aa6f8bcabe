"""Each rule is seen to be broken when it is, and all are kept by whatever people do."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from app import bulk as acting
from contract.records import Explanation, Scored, Unscored, Unshowable
from db.engine import Database
from review_queue import (
    batches,
    challenges,
    checks,
    claims,
    decisions,
    embeddings,
    events,
    explanations,
    flags,
    intake,
    mixing,
    outcomes,
    reason_quality,
    shadows,
    tallies,
    webhooks,
    withdrawal,
)
from review_queue.activity import Actor
from review_queue.bulk import Wish
from review_queue.decisions import Said
from review_queue.filters import Filter
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, take

AUTO, REVIEW = (
    "(SELECT min(item_id) FROM routing WHERE route = 'auto')",
    "(SELECT min(item_id) FROM routing WHERE route = 'review')",
)
DONE = "(SELECT min(id) FROM task WHERE state = 'completed' AND kind = 'review')"
HELD = "(SELECT min(task_id) FROM claim WHERE state = 'held')"
REST = "item_id, project_id, routing_n, kind, seat, audience, blind, state, rank, weight, skips, made_at"
BROKEN: dict[str, Sequence[str]] = {
    "signed": [
        "INSERT INTO autonomy_event (project_id, policy_version_id, unit, kind, from_level, to_level, cause, asked, counts, "
        "code_version, signers, state, made_at) SELECT 1, policy_version_id, '', 'rise', 'assist', 'audited', 'so', '{}', '{}', "
        "'0', 1, 'applied', made_at FROM routing_rule WHERE id = (SELECT min(id) FROM routing_rule)"
    ],
    "allowed": ["UPDATE routing_rule SET level = 'frozen'"],
    "acts": ["UPDATE bulk SET done = done + 1"],
    "one of many": ["UPDATE decision SET basis = 'routed' WHERE basis = 'bulk'"],
    "flags": [
        "INSERT INTO project (id, name, made_at) SELECT 900, 'other', made_at FROM project WHERE id = 1",
        "UPDATE flag SET project_id = 900 WHERE project_id <> 900",
    ],
    "content": ["INSERT INTO item_key (item_id, project_id, external_id, content_hash) VALUES (900, 1, 'empty', '')"],
    "lost": ["DELETE FROM work WHERE kind = 'score'"],
    "scored twice": [f"UPDATE work SET item_id = {AUTO} WHERE item_id = (SELECT max(item_id) FROM work)"],
    "routing numbers": ["UPDATE routing SET n = 3 WHERE item_id = (SELECT min(item_id) FROM routing WHERE route = 'failed')"],
    "acted alone": [f"UPDATE outcome SET source = 'human' WHERE item_id = {AUTO}"],
    "outcome of a route": ["UPDATE outcome SET source = 'auto' WHERE source = 'human'"],
    "review": [
        "UPDATE task SET kind = 'other' WHERE item_id = (SELECT min(item_id) FROM task WHERE kind = 'review') AND kind = 'review'"
    ],
    "seats": [f"UPDATE task SET seat = 3 WHERE id = {HELD}"],
    "unasked": ["UPDATE routing SET route = 'failed' WHERE route = 'auto'"],
    "gold": ["UPDATE task SET assignee_id = NULL WHERE kind = 'gold'"],
    "outcome of gold": [
        "UPDATE decision SET basis = 'gold' WHERE id = (SELECT min(decision_id) FROM outcome WHERE decision_id IS NOT NULL)"
    ],
    "unanswerable draws": ["UPDATE task SET kind = 'review' WHERE kind = 'audit'"],
    "draws": ["UPDATE draw SET p = 0.001 WHERE purpose = 'evidence'"],
    "disagreements": ["UPDATE draw SET p = 0.5 WHERE purpose = 'shadow'"],
    "compared": ["UPDATE shadow SET agrees = NOT agrees"],
    "beside": ["UPDATE challenge SET against_id = model_id"],
    "resolved": ["UPDATE draw SET loss = 2 WHERE loss IS NOT NULL"],
    "failed": ["DELETE FROM outbox WHERE kind = 'failed'", "DELETE FROM event WHERE kind = 'failed'"],
    "nobody holds": ["UPDATE claim SET state = 'expired' WHERE state = 'held'"],
    "held in vain": [f"UPDATE task SET state = 'pending' WHERE id = {HELD}"],
    "held twice": ["DROP INDEX claim_task_held", f"UPDATE claim SET task_id = {HELD} WHERE state = 'held'"],
    "two seats": ["DROP INDEX claim_item_person", "UPDATE claim SET person_id = 1"],
    "claims astray": ["UPDATE claim SET closed_at = taken_at WHERE state = 'held'"],
    "answered": [f"UPDATE task SET state = 'pending' WHERE id = {DONE}"],
    "ends": ["UPDATE task SET closed_at = made_at WHERE state = 'pending'"],
    "undone": [f"UPDATE task SET state = 'pending', closed_at = NULL WHERE id = {DONE}"],
    "strangers": ["UPDATE decision SET person_id = 1"],
    "blind": ["DELETE FROM decision WHERE stage = 'first'"],
    "first twice": ["UPDATE decision SET stage = 'first' WHERE blind"],
    "nothing to settle": ["UPDATE decision SET label = 'pay'"],
    "unsettled": ["DELETE FROM outcome WHERE source <> 'auto'"],
    "revisions": ["UPDATE outcome SET revision = revision + 5 WHERE source = 'human'"],
    "groundless": ["UPDATE decision SET label = 'other' WHERE stage = 'final'"],
    "announced": ["DELETE FROM event WHERE kind = 'outcome'"],
    "rumours": [f"DELETE FROM outcome WHERE item_id = {AUTO}"],
    "order": ["UPDATE event SET body = REPLACE(body, '\"revision\":1', '\"revision\":5')"],
    "gap": ["DELETE FROM event WHERE seq = 2"],
    "replaced": ["UPDATE item_key SET revision = 1"],
    "open after the end": ["UPDATE item_key SET closed_at = (SELECT min(made_at) FROM task) WHERE external_id = 'new'"],
    "parked": ["UPDATE task SET parked_at = made_at"],
    "ahead": ["UPDATE webhook SET position = 100000"],
    "head": ["UPDATE event_head SET seq = seq + 1"],
    "asked in vain": ["UPDATE reason_request SET problem = 'none' WHERE done_at IS NULL"],
    "forgotten": ["DELETE FROM work WHERE kind = 'explain'"],
    "another's reason": ["UPDATE explanation SET label = 'other'"],
    "praise": ["UPDATE reason_quality SET doubted = made + 1"],
    "trials": ["UPDATE reason_check SET method = 'other'"],
    "vectors": [
        "INSERT INTO embedding (id, item_id, model_id, space, vector)"
        " SELECT 99, item_id + 900, model_id, '', '123' FROM embedding WHERE id = 1"
    ],
}


@pytest.fixture
def held(database: Database) -> Setting:
    review = {"reviewers": 2, "second_opinion": 0.3}
    return factories.setting(database, wished=factories.policy(audit={"rate": 0.5}, review=review))


@pytest.fixture
def lived(database: Database, held: Setting, move: Move) -> Database:
    """A queue in which everything has happened: answers, disputes, undos, skips, escalations, run-out leases."""
    chance = Random(7)
    staff = [factories.person(database, name) for name in ("ann", "bob", "cem", "dee")] + [
        factories.person(database, "lea", "lead")
    ]
    for batch in range(2):
        answers: dict[str, Scored] = {f"{batch}-{n}": factories.says("pay", chance.uniform(0.5, 1)) for n in range(20)}
        answers |= {f"{batch}-x": Unscored("no answer"), f"{batch}-y": Unshowable("no picture")}
        factories.routed(database, held, answers)
        for _ in range(50):
            act(database, held, chance.choice(staff), chance)
            move(timedelta(seconds=chance.choice((1, 5, 20, 300))))
            database.write(events.sequence)
            database.write(claims.expire)
    other = factories.setting(database, factories.project(project="mind"), factories.policy(audit={"rate": 1.0}))
    change_mind(database, other, staff[0], move)
    move(timedelta(days=8))
    database.write(outcomes.resolve_overdue)
    for actor in staff[:2]:
        take(database, held, actor)
    many(database, factories.setting(database, factories.project(project="many")), factories.person(database, "mia", "lead"))
    factories.submit(database, held, [factories.raw("new")])
    owner = factories.person(database, "olga", "owner")
    database.write(webhooks.add, held.id, "https://example.org/hook", keys=factories.keys(database), by=owner)
    for name, region in (("1-1", "r"), ("1-2", "s")):
        database.write(withdrawal.replace, held, intake.check(held.project, factories.raw(name, region=region)), by=staff[0])
    database.write(withdrawal.cancel, held, "1-3", by=staff[0])
    explain(database, held, staff[0])
    known(database, held, factories.person(database, "eve"))
    differ(database, factories.setting(database, factories.project(project="beside")))
    return database


def differ(database: Database, held: Setting) -> None:
    """A model in shadow says otherwise of what acted alone."""
    each = database.write(challenges.begin, held, database.write(factories.version, held), share=1.0)
    factories.routed(database, held, {"apart": factories.says("pay", 0.97), "alike": factories.says("deny", 0.97)})
    leased = database.write(batches.lease, held.id, "shadow", "w", limit=9, seconds=60)
    said = {item.item_id: {each.id: factories.says("deny", 0.9)} for item in leased}
    database.write(shadows.keep, held, "w", said, factories.keys(database))


def many(database: Database, held: Setting, lead: Actor) -> None:
    """A lead decides some cases at once, takes others back, and flags one."""
    factories.routed(database, held, {f"many-{n}": factories.says("pay", 0.6) for n in range(12)})
    for text_, undone in (("many-1", True), ("many", False)):
        sifted, wish = Filter(text=text_), Wish("reject", reason="no label fits")
        counted = acting.preview(database, held, lead, sifted, wish)
        begun = acting.begin(database, held, lead, text_, sifted, wish, asked=counted.fit, upto=counted.upto)
        acting.act(database, held, lead, begun.id)
        if undone:
            acting.undo(database, held, lead, begun.id)
    decided: int = database.read(lambda s: s.scalar(text("SELECT max(item_id) FROM decision")) or 0)
    database.write(flags.flag, held, lead, decided)


def known(database: Database, held: Setting, actor: Actor) -> None:
    """One more person answers a case whose answer an adjudication had settled."""
    assert database.write(mixing.put, held, actor.id)
    while not (cases := [each for each in take(database, held, actor, 10) if kind_of(database, each.task_id) == "gold"]):
        database.write(claims.expire)
    case = cases[0]
    database.write(decisions.answer, actor, case.task_id, case.token, "gold-first", "pay")
    database.write(decisions.decide, actor, case.task_id, case.token, Said("gold", "reject", reason="no label fits"))


def kind_of(database: Database, task_id: int) -> str:
    return database.read(lambda s: s.scalar(text(f"SELECT kind FROM task WHERE id = {task_id}")) or "")


def explain(database: Database, held: Setting, actor: Actor) -> None:
    """Reasons made ahead, asked for and tried again; items as the model sees them."""
    one, two = (
        database.read(lambda s, n=n: s.scalar(text(f"SELECT item_id FROM item_key WHERE external_id = '0-{n}'"))) for n in (0, 1)
    )
    aimed = database.read(explanations.target, one)
    assert aimed is not None
    model_id, label = aimed
    reason = Explanation("lime.tabular", label, "probability", 0.0, [], {}, 1, "", {}, 0.1)
    database.write(explanations.store, one, model_id, [reason])
    database.write(reason_quality.check, one, model_id, method="lime.tabular", label=label, stability=1.0, areas=(0.2, 0.1))
    asked = database.write(explanations.ask, held, one, method="shap.exact", by=actor)
    database.write(explanations.answer, asked.id, replace(reason, method="shap.exact"))
    database.write(explanations.ask, held, two, method="shap.exact", by=actor)
    database.write(embeddings.keep, model_id, "answers", {one: b"\0" * 8, two: b""})


def act(database: Database, held: Setting, actor: Actor, chance: Random) -> None:
    """One person takes a case and does something with it, or leaves it lying."""
    cases = take(database, held, actor)
    what = chance.choice(("answer",) * 6 + ("skip", "escalate", "undo", "leave"))
    if not cases or what == "leave":
        return
    case, key, label = cases[0], f"{chance.random()}", chance.choice(("pay", "deny"))
    if what in ("skip", "escalate") and not case.first_given:
        database.write(decisions.decide, actor, case.task_id, case.token, Said(key, what))  # type: ignore[arg-type]
        return
    if case.blind and not case.first_given:
        database.write(decisions.answer, actor, case.task_id, case.token, f"{key}-first", label)
        case = take(database, held, actor)[0]
    same = case.prediction is not None and case.prediction.label == label
    said = Said(key, "accept") if same else Said(key, "correct", label)
    stored = database.write(decisions.decide, actor, case.task_id, case.token, said)
    if what == "undo":
        database.write(decisions.undo, actor, stored.id)


def change_mind(database: Database, held: Setting, actor: Actor, move: Move) -> None:
    """An answer that has left is taken back and given otherwise; what acted alone beside it is never checked."""
    factories.routed(database, held, {"alone": factories.says("pay", 0.95), "mind": Unscored("no answer")})
    case = next(each for each in take(database, held, actor, 2) if each.external_id == "mind")
    stored = database.write(decisions.decide, actor, case.task_id, case.token, Said("once", "correct", "pay"))
    move(timedelta(seconds=20))
    database.write(events.sequence)
    database.write(decisions.undo, actor, stored.id)
    database.write(decisions.decide, actor, case.task_id, case.token, Said("twice", "correct", "deny"))
    database.write(claims.release, actor, [each.token for each in take(database, held, actor, 2)])


def test_what_people_do_breaks_no_rule_and_each_broken_one_is_told(lived: Database) -> None:
    assert lived.read(checks.problems) == []
    for what, least in (("held", 2), ("answered", 20), ("skipped", 1), ("expired", 1), ("released", 1)):
        assert count(lived, f"claim WHERE state = '{what}'") >= least, what
    for what in ("task WHERE kind = 'adjudication' AND state = 'completed'", "outcome WHERE revision = 2", "draw WHERE loss = 1"):
        assert count(lived, what) > 0, what
    assert set(BROKEN) == {rule.name for rule in checks.RULES}
    told = {rule: hurt(lived, BROKEN[rule.name]) for rule in checks.RULES}
    assert {rule.name: said for rule, said in told.items() if not any(says(rule, each) for each in said)} == {}


def says(rule: checks.Rule, sentence: str) -> bool:
    return re.fullmatch(rf"{re.escape(rule.broken)}: [1-9][0-9]* \({rule.row} [0-9, …]+\)", sentence) is not None


def count(database: Database, what: str) -> int:
    return database.read(lambda s: s.scalar(text(f"SELECT count(*) FROM {what}"))) or 0


def hurt(database: Database, statements: Sequence[str]) -> list[str]:
    """What is told of data broken past its keys, as by a fault of the program or a restored file. Nothing of it is kept."""
    off = {"sqlite": "PRAGMA defer_foreign_keys = ON", "postgresql": "SET LOCAL session_replication_role = replica"}
    with Session(database.engine) as session:
        session.connection(execution_options={"signoff_write": True})
        for statement in (off[database.engine.dialect.name], *statements):
            session.connection().exec_driver_sql(statement)
        return checks.problems(session)


def test_counts_that_went_astray_are_told(database: Database, held: Setting) -> None:
    database.write(tallies.add, held.id, open=2, items=-1)
    (said,) = database.read(checks.problems)
    assert "the counts of claims are not those of its tables (items by -1, open by +2)" in said
    database.write(tallies.add, held.id, **database.read(tallies.astray, held.id))
    assert database.read(checks.problems) == []
