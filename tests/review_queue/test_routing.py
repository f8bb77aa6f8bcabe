"""Where an item goes, as tables of cases; the draws; the loss; the rank."""

import hashlib
import heapq
import hmac
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from sqlalchemy import select

from contract.policy import Costs, Order, Policy, Score
from contract.records import Prediction, Route, Scored, Unscored, Unshowable
from db.engine import Database
from db.tables import Task
from review_queue import alike
from review_queue.routing import HORIZON, Climbed, Purpose, Rule, confidences, draw, expected_loss, rank, route, urgency
from review_queue.terms import terms
from tests import factories
from tests.review_queue.acting import Move

LABELS = ("deny", "pay")


def rule(**changes: Any) -> Rule:
    body: dict[str, Any] = {
        "id": 7, "period_id": 1, "model_id": 1, "level": "set", "score": "max_probability", "grid": (0.6, 0.8, 0.9),
        "thresholds": {"deny": 0.9, "pay": 0.8}, "audit_rate": 0.1, "second_opinion": 0.25, "vetoes": (), "draw_key_id": 1,
    }  # fmt: skip
    return Rule(**{**body, **changes})


def drawing(**numbers: float) -> Callable[[Purpose], float]:
    return lambda purpose: numbers.get(purpose, 0.999)


def says(label: str, sure: float) -> Prediction:
    return Prediction(LABELS, (sure, 1 - sure) if label == "deny" else (1 - sure, sure))


@pytest.mark.parametrize(
    ("scored", "changes", "values", "kind", "reason"),
    [
        (says("pay", 0.85), {}, {}, "auto", "confidence 0.850 reaches 0.8"),
        (says("pay", 0.8), {}, {}, "auto", "reaches 0.8"),
        (says("pay", 0.7999), {}, {}, "review", "confidence 0.800 is below 0.8"),
        (says("deny", 0.85), {}, {}, "review", "below 0.9"),
        (says("deny", 0.95), {}, {}, "auto", "reaches 0.9"),
        (says("deny", 0.99), {"thresholds": {"deny": None, "pay": 0.8}}, {}, "review", "deny never acts alone"),
        (says("deny", 0.99), {"thresholds": {"pay": 0.8}}, {}, "review", "deny never acts alone"),
        (says("pay", 1.0), {"level": "frozen"}, {}, "review", "automation is frozen"),
        (says("pay", 0.95), {"vetoes": ("amount > 5",)}, {"amount": 6}, "review", "never alone: amount > 5"),
        (says("pay", 0.95), {"vetoes": ("amount > 5",)}, {"amount": 5}, "auto", "reaches"),
        (
            says("pay", 0.95),
            {"vetoes": ("amount > 5",)},
            {"amount": None},
            "review",
            "never alone: amount > 5 (a value is missing)",
        ),
        (says("pay", 0.95), {"vetoes": ("amount > 5",)}, {}, "review", "(a value is missing)"),
        (says("pay", 0.95), {"vetoes": ("amount is missing",)}, {}, "review", "never alone: amount is missing"),
        (says("pay", 0.95), {"vetoes": ("region == 5",)}, {"region": "north"}, "auto", "reaches"),
        (says("pay", 0.95), {"vetoes": ("region < 5",)}, {"region": "north"}, "review", "(a value is missing)"),
        (says("pay", 0.95), {"vetoes": ("amount > 5", "sex == f")}, {"amount": 1, "sex": "f"}, "review", "never alone: sex == f"),
        (says("pay", 0.95), {"vetoes": ("label == pay and confidence < 0.96",)}, {}, "review", "never alone: label == pay"),
        (says("pay", 0.97), {"vetoes": ("label == pay and confidence < 0.96",)}, {}, "auto", "reaches"),
        (says("pay", 0.7), {"vetoes": ("amount > 5",)}, {"amount": 9}, "review", "never alone: amount > 5"),
        (Unscored("NaN"), {}, {}, "review", "not scored: NaN"),
        (Unshowable("broken"), {}, {}, "failed", "broken"),
        (Unshowable("broken"), {"level": "frozen"}, {}, "failed", "broken"),
        (says("pay", 0.9), {"score": "margin"}, {}, "auto", "confidence 0.800 reaches 0.8"),
        (says("pay", 0.89), {"score": "margin"}, {}, "review", "below"),
        (says("pay", 0.9), {"score": "entropy"}, {}, "review", "confidence 0.531 is below"),
        (says("pay", 0.97), {"score": "entropy"}, {}, "auto", "confidence 0.806 reaches"),
    ],
)
def test_routes(scored: Scored, changes: dict[str, Any], values: dict[str, Any], kind: str, reason: str) -> None:
    to = route(rule(**changes), scored, values, drawing())
    assert to.route == kind
    assert reason in to.reason


@pytest.mark.parametrize(("sure", "band"), [(0.55, 0), (0.6, 1), (0.7, 1), (0.8, 2), (0.8999, 2), (0.9, 3), (1.0, 3)])
def test_bands_count_the_thresholds_reached(sure: float, band: int) -> None:
    assert route(rule(), says("pay", sure), {}, drawing()).band == band


A = 0.1
S = 0.25


@pytest.mark.parametrize(
    ("sure", "drawn", "p_evidence", "p_second", "pi", "hits"),
    [
        (0.95, {}, A, 0.0, A, ()),
        (0.95, {"evidence": 0.0999}, A, 0.0, A, ("evidence",)),
        (0.95, {"evidence": 0.1}, A, 0.0, A, ()),
        (0.95, {"second": 0.0}, A, 0.0, A, ()),  # what acts alone gets no second opinion
        (0.7, {}, A, S, 1.0, ()),
        (0.7, {"evidence": 0.05}, A, S, 1.0, ("evidence",)),
        (0.7, {"second": 0.2}, A, S, 1.0, ("second",)),
        (0.7, {"evidence": 0.05, "second": 0.2}, A, S, 1.0, ("evidence", "second")),
        (0.55, {"evidence": 0.0, "second": 0.3}, 0.0, S, 1.0, ()),  # below the grid nothing is evidence
    ],
)
def test_what_is_drawn_and_pi(
    sure: float, drawn: dict[str, float], p_evidence: float, p_second: float, pi: float, hits: tuple[str, ...]
) -> None:
    to = route(rule(), says("pay", sure), {}, drawing(**drawn))
    assert (to.p_evidence, to.p_second, to.pi, to.drawn) == (p_evidence, p_second, pi, hits)
    assert to.blind == bool(hits)


_chance = st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.5, 0.8, 0.9, 0.6])
_answers = st.one_of(
    st.lists(_chance, min_size=2, max_size=5).map(lambda p: Prediction(tuple("abcde"[: len(p)]), tuple(p))),
    st.just(Unscored("NaN")),
    st.just(Unshowable("broken")),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_answers, max_size=40), st.sampled_from(["max_probability", "margin", "entropy"]))
def test_a_batch_is_routed_as_its_items_are_one_by_one(answers: list[Scored], score: Score) -> None:
    held = rule(score=score, thresholds={"a": 0.8, "b": None, "c": 0.0}, vetoes=("amount > 5",))
    values = {"amount": 5}
    sures = confidences(score, answers)
    for n, (answer, sure) in enumerate(zip(answers, sures, strict=True)):

        def drawn(purpose: Purpose, n: int = n) -> float:
            return draw(b"key", "claims", str(n), 7, purpose)

        assert route(held, answer, values, drawn, None, sure) == route(held, answer, values, drawn)
        assert (sure is not None) == isinstance(answer, Prediction)


def test_no_number_is_drawn_where_nothing_can_hit() -> None:
    asked: list[str] = []

    def drawn(purpose: Purpose) -> float:
        asked.append(purpose)
        return 0.0

    route(rule(audit_rate=0.0, second_opinion=0.0), says("pay", 0.95), {}, drawn)
    route(rule(audit_rate=1.0, second_opinion=1.0), Unscored("NaN"), {}, drawn)
    assert asked == []


def test_what_has_no_score_is_never_drawn_and_what_failed_gets_no_label() -> None:
    every = drawing(evidence=0.0, second=0.0)
    review, failed = route(rule(), Unscored("x"), {}, every), route(rule(), Unshowable("x"), {}, every)
    assert (review.pi, review.drawn, review.label) == (1.0, (), None)
    assert (failed.pi, failed.drawn, failed.label) == (0.0, (), None)


def test_a_frozen_item_keeps_its_evidence_draw_and_one_that_would_never_act_alone_is_no_evidence() -> None:
    to = route(rule(level="frozen"), says("pay", 0.95), {}, drawing(evidence=0.0))
    assert (to.route, to.p_evidence, to.pi, to.drawn) == ("review", A, 1.0, ("evidence",))
    strange = replace(says("pay", 0.95), strangeness=0.001)
    for changes, said in (
        ({"vetoes": ("amount is missing",)}, says("pay", 0.95)),
        ({"own": {"pay": None}}, says("pay", 0.95)),
        ({"own": {"pay": 0.96}}, says("pay", 0.95)),
        ({"strange": 0.01}, strange),
    ):
        to = route(rule(**changes), said, {}, drawing(evidence=0.0))
        assert (to.route, to.band, to.p_evidence, to.pi, to.drawn) == ("review", 0, 0.0, 1.0, ())
    assert route(rule(strange=0.001), strange, {}, drawing()).route == "auto"
    assert route(rule(strange=0.01), says("pay", 0.95), {}, drawing()).route == "auto"


class TestEarned:
    """What a unit has climbed to bounds what the policy asks for."""

    def test_nothing_acts_before_it_is_certified_and_every_case_in_the_grid_is_evidence(self) -> None:
        held = rule(level="assist", units={"": Climbed("assist", None, 1.0)})
        to = route(held, says("pay", 0.99), {}, drawing(evidence=0.9999))
        assert (to.route, to.reason, to.p_evidence, to.drawn) == ("review", "nothing is certified yet", 1.0, ("evidence",))
        assert route(held, says("pay", 0.55), {}, drawing(evidence=0.0)).drawn == ()

    @pytest.mark.parametrize(
        ("sure", "kind", "p"),
        [(0.95, "auto", 0.25), (0.9, "auto", 0.25), (0.89, "review", 1.0), (0.65, "review", 1.0), (0.5, "review", 0.0)],
    )
    def test_above_what_is_certified_a_case_acts_and_is_checked_at_the_rate_of_its_unit(
        self, sure: float, kind: str, p: float
    ) -> None:
        to = route(rule(level="audited", units={"": Climbed("audited", 0.9, 0.25)}), says("pay", sure), {}, drawing())
        assert (to.route, to.p_evidence, to.pi) == (kind, p, 0.25 if kind == "auto" else 1.0)

    def test_the_stricter_of_wish_and_certificate_holds(self) -> None:
        held = rule(level="floor", units={"": Climbed("floor", 0.6, 0.05)})
        assert route(held, says("pay", 0.79), {}, drawing()).reason == "confidence 0.790 is below 0.8"
        assert route(replace(held, thresholds={"pay": 0.0}), says("pay", 0.59), {}, drawing()).route == "review"

    def test_each_segment_and_label_has_its_own(self) -> None:
        units = {"big:pay": Climbed("assist", None, 1.0), ":pay": Climbed("audited", 0.8, 0.25)}
        parts = {"segments": {"big": "amount > 5"}, "by_label": True, "thresholds": {"pay": 0.0, "deny": 0.0}}
        held = rule(level="audited", units=units, **parts)
        small, big = (route(held, says("pay", 0.95), {"amount": amount}, drawing()) for amount in (1, 9))
        assert [(to.route, to.segment) for to in (small, big)] == [("auto", ":pay"), ("review", "big:pay")]
        assert route(held, says("pay", 0.95), {}, drawing()).segment == ":pay"
        assert route(held, says("deny", 0.95), {"amount": 1}, drawing()).reason == "nothing is certified yet"

    def test_a_freeze_sends_all_to_people_and_goes_on_gathering(self) -> None:
        to = route(rule(level="frozen", units={"": Climbed("audited", 0.6, 0.25)}), says("pay", 0.95), {}, drawing())
        assert (to.route, to.reason, to.p_evidence) == ("review", "automation is frozen", 1.0)


@pytest.mark.parametrize(
    ("automate", "wanted"),
    [
        ({}, {"deny": None, "pay": None}),
        ({"at_least": 0.9}, {"deny": 0.9, "pay": 0.9}),
        ({"at_least": 0.9, "per_label": {"deny": "never"}}, {"deny": None, "pay": 0.9}),
        ({"at_least": "off", "per_label": {"pay": 0.7}}, {"deny": None, "pay": 0.7}),
        ({"at_least": 0.0, "per_label": {"pay": 0.0}}, {"deny": 0.0, "pay": 0.0}),
    ],
)
def test_thresholds_per_label(automate: dict[str, Any], wanted: dict[str, float | None]) -> None:
    assert terms(Policy.model_validate({"autonomy": "set", "automate": automate}), LABELS).thresholds == wanted


class TestDraws:
    KEY = b"k" * 32

    def test_a_golden_value(self) -> None:
        message = b"\x00\x00\x00\x06claims\x00\x00\x00\x03C-1\x00\x00\x00\x017\x00\x00\x00\x08evidence"
        first = hmac.new(self.KEY, message, hashlib.sha256).digest()[:7]
        assert draw(self.KEY, "claims", "C-1", 7, "evidence") == int.from_bytes(first, "big") / 2**56
        assert draw(self.KEY, "claims", "C-1", 7, "evidence") == 0.9848925955638853

    def test_only_key_project_item_rule_and_purpose_count_and_each_does(self) -> None:
        base = (self.KEY, "claims", "C-1", 7, "evidence")
        assert draw(*base) == draw(*base)
        others = [
            (b"K" * 32, "claims", "C-1", 7, "evidence"), (self.KEY, "claim", "C-1", 7, "evidence"),
            (self.KEY, "claims", "C-2", 7, "evidence"), (self.KEY, "claims", "C-1", 8, "evidence"),
            (self.KEY, "claims", "C-1", 7, "second"),
        ]  # fmt: skip
        assert len({draw(*each) for each in [base, *others]}) == 6

    def test_parts_cannot_flow_into_one_another(self) -> None:
        assert draw(self.KEY, "ab", "c", 1, "x") != draw(self.KEY, "a", "bc", 1, "x")
        assert draw(self.KEY, "a", "b1", 2, "x") != draw(self.KEY, "a", "b", 12, "x")

    def test_numbers_are_uniform_and_purposes_independent(self) -> None:
        n = 20_000
        u = np.array([draw(self.KEY, "p", str(i), 1, "evidence") for i in range(n)])
        v = np.array([draw(self.KEY, "p", str(i), 1, "second") for i in range(n)])
        assert 0 <= u.min() < u.max() < 1
        for each in (u, v):
            distance = np.abs(np.sort(each) - (np.arange(n) + 0.5) / n).max()
            assert distance < 1.95 / math.sqrt(n)
        assert abs(np.corrcoef(u, v)[0, 1]) < 4 / math.sqrt(n)
        hits = ((u < 0.1) & (v < 0.25)).mean()
        assert hits == pytest.approx(0.025, abs=4 * math.sqrt(0.025 / n))


@pytest.mark.parametrize(
    ("probabilities", "costs", "loss"),
    [
        ((0.3, 0.7), {}, 0.3),
        ((0.3, 0.7), {"pay": 1, "deny": 5}, 0.3 * 5 / 5),
        ((0.7, 0.3), {"pay": 1, "deny": 5}, 0.3 * 1 / 5),
        ((0.3, 0.7), {"deny": 5}, 0.3),
        ((0.7, 0.3), {"deny": 5}, 0.06),
        ((0.3, 0.7), {"pay": 0, "deny": 0}, 0.0),
        ((0.0, 1.0), {"pay": 1, "deny": 5}, 0.0),
    ],
)
def test_expected_loss_by_hand(probabilities: tuple[float, ...], costs: dict[str, float], loss: float) -> None:
    assert expected_loss(Prediction(LABELS, probabilities), Costs(error=costs)) == pytest.approx(loss)


@pytest.mark.parametrize(
    ("order", "w"), [("expected_loss", 1 - 0.9 * 0.06), ("uncertainty", 1 - 0.9 * 0.3), ("due", 1.0), ("fifo", 1.0)]
)
def test_urgency_of_each_order(order: Order, w: float) -> None:
    said, costs = Prediction(LABELS, (0.7, 0.3)), Costs(error={"deny": 5})
    assert urgency(order, said, Route("review", "", "deny", 0.7), costs) == pytest.approx(w)
    assert urgency(order, Unscored("x"), Route("review", ""), costs) == (
        0.1 if order in ("expected_loss", "uncertainty") else 1.0
    )


NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_rank_is_a_virtual_deadline() -> None:
    second = 1_000_000
    assert rank("expected_loss", NOW, 1.0, None) - rank("expected_loss", NOW, 0.1, None) == round(0.9 * 86_400) * second
    assert rank("fifo", NOW, 1.0, None) < rank("fifo", NOW + timedelta(microseconds=1), 1.0, None)
    assert rank("due", NOW, 1.0, NOW + timedelta(hours=1)) < rank("due", NOW - timedelta(days=3), 1.0, NOW + timedelta(hours=2))
    assert rank("due", NOW, 1.0, None) == rank("fifo", NOW, 1.0, None)


@settings(max_examples=200, deadline=None)
@given(
    st.floats(0, 1), st.floats(0, 1), st.floats(0, 10),
    st.timedeltas(timedelta(0), timedelta(days=3)), st.sampled_from(["expected_loss", "uncertainty", "fifo"]),
)  # fmt: skip
def test_nobody_is_overtaken_by_what_came_a_horizon_later(
    first: float, second: float, cost: float, later: timedelta, order: Order
) -> None:
    costs = Costs(error={"deny": cost})
    w = [urgency(order, says("pay", p), Route("review", "", "pay", max(p, 1 - p)), costs) for p in (first, second)]
    assert all(0.1 - 1e-9 <= each <= 1 for each in w)
    if later >= HORIZON:
        assert rank(order, NOW, w[0], None) < rank(order, NOW + later, w[1], None)


_spans = st.timedeltas(timedelta(minutes=1), timedelta(days=60))
_orders = st.sampled_from(["expected_loss", "uncertainty", "due", "fifo"])


@settings(max_examples=400, deadline=None)
@given(_orders, _orders, st.floats(0.1, 1), st.floats(0.1, 1), st.none() | _spans, st.none() | _spans, _spans)
def test_every_order_has_its_bound_and_mixtures_too(
    order: Order, other: Order, w: float, v: float, due: timedelta | None, later_due: timedelta | None, later: timedelta
) -> None:
    """Whatever arrives after the horizon, and after what is ordered by its due time is due, goes behind: under another order
    of a changed policy too."""
    bound = max(HORIZON, due) if order == "due" and due is not None else HORIZON
    arrives = NOW + later
    first = rank(order, NOW, w, NOW + due if due is not None else None)
    second = rank(other, arrives, v, arrives + later_due if later_due is not None else None)
    if later > bound:
        assert first < second


@pytest.mark.parametrize("order", ["expected_loss", "uncertainty", "due", "fifo"])
@pytest.mark.parametrize("due", [None, timedelta(hours=4), timedelta(days=30)])
def test_the_least_urgent_case_is_served_in_its_time(order: Order, due: timedelta | None) -> None:
    """A case comes every ten minutes, always more urgent, and one is served every ten minutes; an hour's work lies there."""
    step, waiting = timedelta(minutes=10), [(rank(order, NOW, 0.1, NOW + timedelta(minutes=n)), n + 1) for n in range(6)]
    heapq.heappush(waiting, (rank(order, NOW, 1.0, NOW + due if due else None), 0))
    bound = max(HORIZON, due) if order == "due" and due else HORIZON
    for n in range(1, 31 * 24 * 6):
        at = NOW + n * step
        heapq.heappush(waiting, (rank(order, at, 0.1, at + timedelta(minutes=30)), n + 10))
        if heapq.heappop(waiting)[1] == 0:
            assert at <= NOW + bound + timedelta(hours=2)
            return
    raise AssertionError("it was never served")


@pytest.mark.parametrize("score", ["max_probability", "margin", "entropy"])
@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(1e-6, 1), min_size=2, max_size=5), st.floats(0, 1), st.floats(0, 1))
def test_whatever_the_model_says_a_route_is_whole(score: Score, weights: list[float], u: float, v: float) -> None:
    p = tuple(w / sum(weights) for w in weights)
    labels = tuple(f"l{n}" for n in range(len(p)))
    said = Prediction(labels, p)
    to = route(rule(score=score, thresholds={label: 0.8 for label in labels}), said, {}, drawing(evidence=u, second=v))
    assert to.label == said.label
    assert to.pi == (1.0 if to.route == "review" else to.p_evidence)
    assert 0.1 - 1e-9 <= urgency("expected_loss", said, to, Costs()) <= 1


def test_an_audit_cannot_be_told_by_its_place(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranks of audits and of review tasks, relative to when they were made, come from one distribution."""
    seeded = Random(5)
    monkeypatch.setattr(alike, "Random", lambda: seeded)
    held = factories.setting(sqlite, wished=factories.policy(automate={"at_least": 0.8}, audit={"rate": 0.6}))
    chance = Random(11)
    for batch in range(10):
        answers = {f"{batch}-{n}": factories.says("pay", 0.5 + 0.5 * chance.random() ** 1.5) for n in range(120)}
        factories.routed(sqlite, held, answers)
    rows = sqlite.read(lambda s: s.execute(select(Task.kind, Task.rank, Task.made_at, Task.weight, Task.due_at)).all())
    counts = Counter(row.kind for row in rows)
    assert min(counts["audit"], counts["review"]) > 200
    offset = {
        kind: np.array(sorted(r.rank - r.made_at.timestamp() * 1e6 for r in rows if r.kind == kind))
        for kind in ("audit", "review")
    }
    points = np.concatenate(list(offset.values()))
    shares = [np.searchsorted(each, points, side="right") / len(each) for each in offset.values()]
    n, m = (len(each) for each in offset.values())
    assert np.abs(shares[0] - shares[1]).max() < 1.63 * math.sqrt((n + m) / (n * m))


class TestPlaces:
    """Where drawn cases come in the queue, among what was routed about the same time: a rank-sum cannot tell them."""

    @pytest.fixture(autouse=True)
    def _seeded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seeded = Random(7)
        monkeypatch.setattr(alike, "Random", lambda: seeded)

    @pytest.fixture
    def told_apart(self, sqlite: Database, move: Move) -> Callable[..., float]:
        """Route so many batches of so many, a minute apart; how unlikely it is that places differ so by chance alone."""

        def run(kind: str, size: int, count: int, order: str = "expected_loss") -> float:
            review = {"second_opinion": 0.3, "order": order, "due": "4h"}
            wished = factories.policy(automate={"at_least": 0.8}, audit={"rate": 0.5}, review=review)
            held, chance = factories.setting(sqlite, wished=wished), Random(13)
            for batch in range(count):
                answers = {f"{batch}-{n}": factories.says("pay", 0.5 + 0.5 * chance.random() ** 1.5) for n in range(size)}
                factories.routed(sqlite, held, answers)
                if batch % 10 == 9:  # each move lies on top of the one before
                    move(timedelta(minutes=10))
            rows = sqlite.read(lambda s: s.execute(select(Task.id, Task.kind, Task.rank).order_by(Task.id)).all())
            places = {row.id: place for place, row in enumerate(sorted(rows, key=lambda row: (row.rank, row.id)))}
            ahead = [(row.kind, places[row.id] - came) for came, row in enumerate(rows)]
            drawn, other = (
                [shift for k, shift in ahead if (k == kind) == wanted and k in (kind, "review")] for wanted in (True, False)
            )
            assert min(len(drawn), len(other)) > 60
            return float(mannwhitneyu(drawn, other).pvalue)

        return run

    @pytest.mark.parametrize("kind", ["audit", "second"])
    @pytest.mark.parametrize(("size", "count"), [(3, 200), (60, 12)])
    @pytest.mark.parametrize("order", ["expected_loss", "due"])
    def test_they_are_alike(self, told_apart: Callable[..., float], kind: str, size: int, count: int, order: str) -> None:
        assert told_apart(kind, size, count, order) > 0.01

    @pytest.mark.parametrize("kind", ["audit", "second"])
    def test_the_test_would_see_it(self, told_apart: Callable[..., float], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Were they all as urgent as the middle of what still waits, their places would tell them."""
        monkeypatch.setattr(alike.Alike, "weight", lambda _: 0.9)
        assert told_apart(kind, 60, 12) < 1e-6


def test_audits_without_any_review_task_take_some_place(sqlite: Database) -> None:
    held = factories.setting(sqlite, wished=factories.policy(audit={"rate": 1.0}))
    factories.routed(sqlite, held, {str(n): factories.says("pay", 0.97) for n in range(30)})
    assert {task.weight for task in factories.tasks(sqlite)} == {0.1, 0.55, 1.0}


def test_a_label_that_the_project_does_not_have_is_no_evidence_of_what_acts_alone() -> None:
    found = route(rule(thresholds={"deny": 0.5}), says("pay", 0.99), {}, drawing())
    assert (found.route, found.reason, found.band) == ("review", "pay never acts alone", 0)
