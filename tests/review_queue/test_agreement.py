"""Kappa against scikit-learn and against the delta method; intervals that hold what they say; which answers make a pair."""

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from db.engine import Database
from review_queue import agreement, answers, decisions
from review_queue.activity import Actor
from review_queue.agreement import Pair, Rate
from review_queue.decisions import Said
from tests import factories
from tests.review_queue.acting import take

LABELS = ("deny", "pay", None)


def drawn(generator: np.random.Generator, n: int, joint: np.ndarray) -> list[Pair]:
    picks = generator.choice(joint.size, size=n, p=joint.ravel())
    return [(LABELS[k // len(LABELS)], LABELS[k % len(LABELS)]) for k in picks]


def true_kappa(joint: np.ndarray) -> float:
    expected = joint.sum(1) @ joint.sum(0)
    return float((np.trace(joint) - expected) / (1 - expected))


JOINT = np.array([[0.25, 0.05, 0.01], [0.08, 0.5, 0.02], [0.02, 0.03, 0.04]])
SKEWED = np.array([[0.01, 0.02, 0.0], [0.02, 0.94, 0.005], [0.0, 0.005, 0.0]])


@pytest.mark.parametrize("joint", [JOINT, SKEWED])
@pytest.mark.parametrize("n", [5, 40, 1000])
def test_kappa_is_that_of_scikit_learn(joint: np.ndarray, n: int) -> None:
    for seed in range(20):
        found = drawn(np.random.default_rng(seed), n, joint)
        kappa = agreement.kappa(found)
        if kappa is None:
            assert len(set(found)) == 1
            continue
        expected = cohen_kappa_score([str(a) for a, _ in found], [str(b) for _, b in found], labels=[*map(str, LABELS)])
        assert kappa.value == pytest.approx(expected, abs=1e-12)


def test_its_interval_is_that_of_the_delta_method() -> None:
    """The gradient of kappa over the cells, taken by small steps, and the covariance of a multinomial."""
    found = drawn(np.random.default_rng(3), 400, JOINT)
    cells = np.zeros((3, 3))
    for a, b in found:
        cells[LABELS.index(a), LABELS.index(b)] += 1 / len(found)
    step = 1e-6
    gradient = np.array(
        [(true_kappa(cells + step * unit) - true_kappa(cells - step * unit)) / (2 * step) for unit in np.eye(9).reshape(9, 3, 3)]
    )
    p = cells.ravel()
    error = math.sqrt((gradient**2 @ p - (gradient @ p) ** 2) / len(found))
    kappa = agreement.kappa(found)
    assert kappa is not None
    assert kappa.high - kappa.value == pytest.approx(1.959964 * error, rel=1e-5)
    assert kappa.value - kappa.low == pytest.approx(1.959964 * error, rel=1e-5)


def test_the_intervals_hold_the_truth_as_often_as_they_say() -> None:
    generator, truth = np.random.default_rng(11), true_kappa(JOINT)
    both = JOINT[0, 0] / (JOINT[0].sum() + JOINT[:, 0].sum() - JOINT[0, 0])
    hits = {"kappa": 0, "label": 0}
    for _ in range(400):
        found = agreement.figures(drawn(generator, 300, JOINT))
        hits["kappa"] += found.kappa.low <= truth <= found.kappa.high
        hits["label"] += found.labels[0].both.low <= both <= found.labels[0].both.high
    assert all(0.92 <= n / 400 <= 0.985 for n in hits.values()), hits


@pytest.mark.parametrize(
    ("part", "of", "low", "high"),
    [(0, 10, 0.0, 0.27754), (10, 10, 0.72246, 1.0), (81, 263, 0.25525, 0.36623), (1, 29, 0.00611, 0.17179)],
)
def test_a_share_has_the_interval_of_wilson(part: int, of: int, low: float, high: float) -> None:
    """81 of 263 and 1 of 29 are the examples of Newcombe (1998), table I, method 3: 0.2553 to 0.3662, 0.0061 to 0.1718."""
    found = agreement.rate(part, of)
    assert (found.low, found.high) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


@pytest.mark.parametrize("found", [[], [("pay", "pay")] * 7])
def test_where_there_is_nothing_beyond_chance_there_is_no_kappa(found: list[Pair]) -> None:
    assert agreement.kappa(found) is None
    assert agreement.figures(found).agreed.of == len(found)
    assert agreement.rate(0, 0) == Rate(0, 0, None, None, None)


@pytest.mark.parametrize(
    ("found", "value"),
    [([("pay", "pay")] * 5 + [("deny", "deny")] * 3, 1.0), ([("pay", "pay")] * 5 + [("pay", "deny")] * 3, 0.0)],
    ids=["all agree", "one says the same of all"],
)
def test_where_the_formula_has_no_width_there_is_none_to_trust(found: list[Pair], value: float) -> None:
    kappa = agreement.kappa(found)
    assert kappa is not None
    assert (kappa.value, kappa.low, kappa.high) == (pytest.approx(value), None, None)


def test_skew_makes_kappa_low_and_the_labels_say_why() -> None:
    """Two people who agree on 95 of 100 cases: kappa is near 0, the common label is agreed on and the rare one is not."""
    found = agreement.figures([("pay", "pay")] * 95 + [("pay", "deny")] * 3 + [("deny", "pay")] * 2)
    assert found.agreed.value == 0.95
    assert found.kappa is not None
    assert abs(found.kappa.value) < 0.03
    shares = {each.label: (each.both.part, each.both.of) for each in found.labels}
    assert shares == {"deny": (0, 5), "pay": (95, 100)}


def say(database: Database, actor: Actor, case: object, label: str | None) -> None:
    """Answer a case blind where it is, keep that, and be done."""
    task, token = case.task_id, case.token  # type: ignore[attr-defined]
    if case.blind:  # type: ignore[attr-defined]
        database.write(decisions.answer, actor, task, token, f"f{task}", label)
    verdict = "reject" if label is None else "accept" if label == "pay" else "correct"
    database.write(decisions.decide, actor, task, token, Said(f"k{task}", verdict, label if verdict == "correct" else None,
                   reason="no label fits" if label is None else None))  # fmt: skip


class TestPairs:
    """What counts as a pair, by what people really did."""

    def test_a_second_opinion_against_the_first_review(self, database: Database) -> None:
        held = factories.setting(database, wished=factories.policy(review={"second_opinion": 1.0}))
        ann, bob = factories.person(database, "ann"), factories.person(database, "bob")
        factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(3)})
        said = {"ann": ["pay", "deny", "pay"], "bob": ["pay", "deny", "deny"]}
        for actor in (ann, bob):
            for n in range(3):
                case = take(database, held, actor)[0]
                say(database, actor, case, said[actor.name][int(case.external_id)])
                assert n < 3
        found = sorted(agreement.pairs(database.read(answers.latest, held.id).answers))
        assert found == [("deny", "deny"), ("pay", "deny"), ("pay", "pay")]
        seen = agreement.of(database.read(answers.latest, held.id))
        assert (seen.agreed.part, seen.agreed.of) == (2, 3)

    def test_the_first_answer_counts_and_not_what_was_made_of_it(self, database: Database) -> None:
        held = factories.setting(database, wished=factories.policy(review={"reviewers": 2, "blind_first": "all"}))
        ann, bob = factories.person(database, "ann"), factories.person(database, "bob")
        factories.routed(database, held, {"1": factories.says("pay", 0.6)})
        case = take(database, held, ann)[0]
        database.write(decisions.answer, ann, case.task_id, case.token, "f1", "deny")
        database.write(decisions.decide, ann, case.task_id, case.token, Said("k1", "accept"))
        say(database, bob, take(database, held, bob)[0], "pay")
        assert agreement.pairs(database.read(answers.latest, held.id).answers) == [("deny", "pay")]

    def test_an_undone_answer_is_not_a_second_one(self, database: Database) -> None:
        held, ann = factories.setting(database), factories.person(database, "ann")
        factories.routed(database, held, {"1": factories.says("pay", 0.6)})
        case = take(database, held, ann)[0]
        stored = database.write(decisions.decide, ann, case.task_id, case.token, Said("a", "accept"))
        database.write(decisions.undo, ann, stored.id)
        database.write(decisions.decide, ann, case.task_id, case.token, Said("b", "correct", "deny"))
        assert agreement.pairs(database.read(answers.latest, held.id).answers) == []


def test_the_window_is_the_latest_decisions(database: Database) -> None:
    held, ann = factories.setting(database), factories.person(database, "ann")
    factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(6)})
    for _ in range(6):
        say(database, ann, take(database, held, ann)[0], "pay")
    part, whole = database.read(answers.latest, held.id, 4), database.read(answers.latest, held.id, 6)
    assert (part.decisions, part.whole, len(part.answers)) == (4, False, 4)
    assert (whole.decisions, whole.whole) == (6, True)
    assert part.answers == whole.answers[2:]
