"""Similar cases: exact neighbours among what people decided, as it stands now."""

import statistics
import time
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select, update

from app.similar import LOOKED_AT, Neighbourhood, Similar
from db.engine import Database
from db.tables import Decision, Embedding
from review_queue import decisions, embeddings, explanations, intake, requests, rules, withdrawal
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.projects import Setting
from tests import crowd, factories
from tests.review_queue.acting import at_once, take

Vectors = NDArray[np.float32]
SPACE = "the network's last hidden layer"


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database)


@pytest.fixture
def ann(database: Database) -> Actor:
    return factories.person(database, "ann")


@pytest.fixture
def lea(database: Database) -> Actor:
    return factories.person(database, "lea", "lead")


def unit(count: int, dimensions: int = 8, seed: int = 0) -> Vectors:
    drawn = np.random.default_rng(seed).normal(size=(count, dimensions)).astype("<f4")
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def represent(database: Database, vectors: dict[int, Vectors], model_id: int) -> None:
    database.write(embeddings.keep, model_id, SPACE, {item: vector.tobytes() for item, vector in vectors.items()})


def filled(database: Database, held: Setting, ann: Actor, count: int) -> tuple[int, list[int], Vectors]:
    """Items that wait for people, with a vector each; the model that was asked."""
    factories.routed(database, held, {f"i{n:03}": factories.says("pay", 0.6) for n in range(count)})
    items = [task.item_id for task in factories.tasks(database)]
    aimed = database.read(explanations.target, items[0])
    assert aimed is not None
    vectors = unit(count)
    represent(database, dict(zip(items, vectors, strict=True)), aimed[0])
    return aimed[0], items, vectors


def decide(database: Database, held: Setting, person: Actor, label: str | None) -> tuple[int, int]:
    """Answer the next case; its item and the decision."""
    case = take(database, held, person)[0]
    if case.blind:
        database.write(decisions.answer, person, case.task_id, case.token, f"first {case.task_id}", label)
    verdict = "reject" if label is None else "accept" if label == "pay" else "correct"
    reason = "no label fits" if label is None else None
    said = Said(f"{case.task_id}/{person.name}", verdict, label if verdict == "correct" else None, reason)
    return case.item_id, database.write(decisions.decide, person, case.task_id, case.token, said).id


def test_neighbours_are_those_of_brute_force_among_what_is_decided(database: Database, held: Setting, ann: Actor) -> None:
    model_id, items, vectors = filled(database, held, ann, 60)
    similar = Similar(database)
    empty = similar.near(items[0], model_id)
    assert empty is not None
    assert (empty.space, empty.cases, empty.looked_at, empty.disagreed) == (SPACE, (), 0, 0)
    said = {}
    for n in range(45):
        item, _ = decide(database, held, ann, ("pay", "deny", None)[n % 3])
        said[item] = ("pay", "deny", None)[n % 3]
    asked = items[7]
    found = similar.near(asked, model_id, count=10)
    assert found is not None
    places = {item: vectors[n] for n, item in enumerate(items)}
    ranked = sorted((each for each in said if each != asked), key=lambda each: -float(places[each] @ places[asked]))
    assert [case.item_id for case in found.cases] == ranked[:10]
    assert [case.similarity for case in found.cases] == pytest.approx([float(places[i] @ places[asked]) for i in ranked[:10]])
    assert [case.decided for case in found.cases] == [said[each] for each in ranked[:10]]
    assert {case.predicted for case in found.cases} == {"pay"}
    assert dict(found.answers) == Counter(said[each] for each in ranked[:LOOKED_AT])
    assert (found.looked_at, found.disagreed) == (LOOKED_AT, sum(said[each] != "pay" for each in ranked[:LOOKED_AT]))


def test_what_is_taken_back_corrected_cancelled_or_replaced_shows_as_it_stands(
    database: Database, held: Setting, ann: Actor, lea: Actor
) -> None:
    model_id, items, _ = filled(database, held, ann, 6)
    similar = Similar(database)
    made = dict(decide(database, held, ann, "pay") for _ in range(4))
    asked = next(item for item in items if item not in made)

    def shown() -> dict[int, str | None]:
        found = similar.near(asked, model_id)
        assert found is not None
        return {case.item_id: case.decided for case in found.cases}

    assert shown() == dict.fromkeys(made, "pay")
    undone, corrected, cancelled, replaced = made
    names = {task.item_id: name for task, name in zip(factories.tasks(database), (f"i{n:03}" for n in range(6)), strict=True)}
    database.write(decisions.undo, ann, made[undone])
    database.write(decisions.revise, held, lea, names[corrected], Said("c", "correct", "deny"))
    database.write(withdrawal.cancel, held, names[cancelled], by=lea)
    submission = intake.check(held.project, factories.raw(names[replaced], amount=7.0))
    database.write(withdrawal.replace, held, submission, by=lea)
    assert shown() == {corrected: "deny"}


def test_what_somebody_has_yet_to_answer_blind_stays_secret(database: Database, ann: Actor, lea: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(review={"blind_first": "all"}))
    model_id, items, _ = filled(database, held, ann, 4)
    item, _ = decide(database, held, ann, "deny")
    asked = next(each for each in items if each != item)
    similar = Similar(database)
    assert [case.item_id for case in similar.near(asked, model_id).cases] == [item]  # type: ignore[union-attr]
    name = next(f"i{n:03}" for n, each in enumerate(items) if each == item)
    database.write(requests.request, held, name, "look again", by=lea)
    assert similar.near(asked, model_id).cases == ()  # type: ignore[union-attr]


def test_an_item_without_a_vector_has_no_neighbourhood_and_is_nobodys_neighbour(
    database: Database, held: Setting, ann: Actor
) -> None:
    factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(3)})
    items = [task.item_id for task in factories.tasks(database)]
    aimed = database.read(explanations.target, items[0])
    assert aimed is not None
    similar = Similar(database)
    assert similar.near(items[0], aimed[0]) is None
    database.write(embeddings.keep, aimed[0], SPACE, {items[1]: b"", items[0]: unit(1)[0].tobytes()})
    decide(database, held, ann, "pay")
    assert similar.near(items[1], aimed[0]) == Neighbourhood("", (), 0, 0)
    found = similar.near(items[0], aimed[0])
    assert found is not None
    assert items[1] not in [case.item_id for case in found.cases]


def test_a_vector_of_another_length_is_near_nothing(database: Database, held: Setting, ann: Actor) -> None:
    model_id, items, _ = filled(database, held, ann, 12)
    decided = {decide(database, held, ann, "pay")[0] for _ in range(3)}
    odd = next(item for item in items if item not in decided)
    other = unit(1, 5)[0].tobytes()
    database.write(lambda s: s.execute(update(Embedding).where(Embedding.item_id == odd).values(vector=other)))
    similar = Similar(database)
    assert similar.near(next(iter(decided)), model_id)
    found = similar.near(odd, model_id)
    assert found is not None
    assert (found.cases, found.looked_at) == ((), 0)


def test_the_index_follows_vectors_that_come_out_of_order_and_from_many_threads(
    database: Database, held: Setting, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(40)})
    items = [task.item_id for task in factories.tasks(database)]
    aimed = database.read(explanations.target, items[0])
    assert aimed is not None
    [decide(database, held, ann, "pay") for _ in range(40)]
    vectors, similar = unit(40), Similar(database)
    rows = [
        {"id": 40 - n, "item_id": item, "model_id": aimed[0], "space": SPACE, "vector": vectors[n].tobytes()}
        for n, item in enumerate(items)
    ]
    for row in rows:
        database.write(lambda session, row=row: session.add(Embedding(**row)))  # type: ignore[misc]
        assert similar.near(row["item_id"], aimed[0]) is not None
    acts = [lambda item=item: similar.near(item, aimed[0]) for item in items[:8]]  # type: ignore[misc]
    assert at_once(acts) == []
    ranked = np.argsort(-(vectors @ vectors[0]), kind="stable")[1:6]
    assert [case.item_id for case in similar.near(items[0], aimed[0]).cases] == [items[n] for n in ranked]  # type: ignore[union-attr]
    monkeypatch.setattr(embeddings, "MOST", 16)
    assert [case.item_id for case in similar.near(items[0], aimed[0]).cases]  # type: ignore[union-attr]


def test_two_people_who_did_not_agree_yet_have_decided_nothing(database: Database) -> None:
    held = factories.setting(database, wished=factories.policy(review={"reviewers": 2}))
    ann, bob = factories.person(database, "ann"), factories.person(database, "bob")
    factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(2)})
    items = sorted({task.item_id for task in factories.tasks(database)})
    aimed = database.read(explanations.target, items[0])
    assert aimed is not None
    represent(database, dict(zip(items, unit(2), strict=True)), aimed[0])
    first, _ = decide(database, held, ann, "pay")
    other = next(each for each in items if each != first)
    similar = Similar(database)
    assert similar.near(other, aimed[0]).cases == ()  # type: ignore[union-attr]
    while decide(database, held, bob, "pay")[0] != first:
        pass
    assert [case.item_id for case in similar.near(other, aimed[0]).cases] == [first]  # type: ignore[union-attr]


def test_what_lacks_a_vector_is_found_newest_first(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(5)})
    item_id = factories.tasks(database)[0].item_id
    aimed = database.read(explanations.target, item_id)
    assert aimed is not None
    made = [decide(database, held, ann, "pay")[0] for _ in range(4)]
    assert database.read(embeddings.lacking, held.id, aimed[0], 10) == made[::-1]
    assert database.read(embeddings.lacking, held.id, aimed[0], 2) == made[:1:-1]
    represent(database, {made[3]: unit(1)[0], made[1]: unit(1)[0]}, aimed[0])
    assert database.read(embeddings.lacking, held.id, aimed[0], 10) == [made[2], made[0]]
    assert set(database.read(embeddings.inputs, held, made)) == set(made)


@pytest.mark.benchmark
def test_speed_at_100_000_decided_cases(sqlite: Database) -> None:
    setting, _ = crowd.fill(sqlite, 110_000, done=100_000)
    rule = sqlite.read(rules.in_force, setting.id, setting.policy)
    assert rule is not None
    items = sqlite.read(lambda s: list(s.scalars(select(Decision.item_id).distinct())))
    vectors = unit(len(items), 128)
    represent(sqlite, dict(zip(items, vectors, strict=True)), rule.model_id)
    similar, begun = Similar(sqlite), time.perf_counter()
    similar.near(items[0], rule.model_id)
    first, took = time.perf_counter() - begun, []
    for item in items[:50]:
        begun = time.perf_counter()
        found = similar.near(item, rule.model_id)
        took.append(1000 * (time.perf_counter() - begun))
        assert found is not None
        assert len(found.cases) == 5
    told = f"{statistics.median(took):.0f} ms in the middle, {max(took):.0f} at most"
    print(f"{len(items):,} x 128: the first answer after {first:.2f} s, further ones {told}")
