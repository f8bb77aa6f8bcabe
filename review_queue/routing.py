"""Where an item goes: pure functions of the rule in force, the prediction, the item's values and secret draws."""

import hmac
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, cast

from contract.conditions import Condition, parse_condition
from contract.confidence import confidence
from contract.policy import Costs, Order, Score
from contract.records import Prediction, Route, Scored, Unscored, Unshowable
from db.types import microseconds
from review_queue import terms

Level = Literal["set", "frozen", "shadow", "assist", "audited", "floor"]
Purpose = Literal["evidence", "second"]
PURPOSES: tuple[Purpose, ...] = ("evidence", "second")
HORIZON = timedelta(hours=24)
"""How far the least urgent case may be overtaken: an item routed this much later never goes before it."""


@dataclass(frozen=True, slots=True)
class Climbed:
    """What one unit may do: from `threshold` on (None: nothing) its cases act alone, and `rate` of those are spot-checked."""

    level: str
    threshold: float | None
    rate: float


@dataclass(frozen=True, slots=True)
class Rule:
    """What is in force for a project: a routing rule row with what it rests on. `external`: its model answers elsewhere.

    `units`: under `earned`, what each may do; else None. `own`: the thresholds that the policy names for single labels: below
    them nothing would ever act, so it is no evidence of what does. `segments`: conditions by name; the first that holds.
    """

    id: int
    period_id: int
    model_id: int
    level: Level
    score: Score
    grid: tuple[float, ...]
    thresholds: Mapping[str, float | None]
    audit_rate: float
    second_opinion: float
    vetoes: tuple[str, ...]
    draw_key_id: int
    external: bool = False
    own: Mapping[str, float | None] = field(default_factory=dict)
    units: Mapping[str, Climbed] | None = None
    segments: Mapping[str, str] = field(default_factory=dict)
    by_label: bool = False
    strange: float | None = None

    @property
    def reads_values(self) -> bool:
        """Whether a route asks for an item's values."""
        return bool(self.vetoes or self.segments)


def confidences(score: Score, answers: Sequence[Scored]) -> list[float | None]:
    """The confidence of each prediction, computed together; None of what is none."""
    places: dict[int, list[int]] = {}
    for place, answer in enumerate(answers):
        if isinstance(answer, Prediction):
            places.setdefault(len(answer.probabilities), []).append(place)
    found: list[float | None] = [None] * len(answers)
    for alike in places.values():
        rows = [cast(Prediction, answers[place]).probabilities for place in alike]
        for place, sure in zip(alike, confidence(rows, score).tolist(), strict=True):
            found[place] = sure
    return found


def route(
    rule: Rule,
    scored: Scored,
    values: Mapping[str, Any],
    drawn: Callable[[Purpose], float],
    barred: str | None = None,
    sure: float | None = None,
) -> Route:
    """The route of one item. `values`: features and groups by name; `drawn(purpose)`: its secret uniform number.

    Purposes draw independently, and no probability depends on a human answer to the item. The evidence draw gets every
    scored item that reaches the lowest threshold of the grid, whatever its route; but none whose prediction is not that
    of the rule's model: `barred` says why it goes to a person. `sure`: its confidence, where `confidences` has it already.
    """
    if isinstance(scored, Unshowable):
        return Route("failed", scored.reason, pi=0.0)
    if isinstance(scored, Unscored):
        return Route("review", f"not scored: {scored.reason}")
    sure = float(confidence(scored.probabilities, rule.score)) if sure is None else sure
    label = scored.label
    known = {**values, "label": label, "confidence": sure} if rule.reads_values else {}
    unit = _unit(rule, label, known)
    barred = barred or _barred(rule, scored, label, sure, known)
    kind, reason = _decide(rule, unit, label, sure, barred)
    band = bisect_right(rule.grid, sure) if barred is None else 0
    p = {"evidence": _checked(rule, unit, kind) if band > 0 else 0.0, "second": rule.second_opinion if kind == "review" else 0.0}
    hits = tuple(purpose for purpose in PURPOSES if p[purpose] > 0 and drawn(purpose) < p[purpose])
    pi = 1.0 if kind == "review" else p["evidence"]
    return Route(kind, reason, label, sure, band, p["evidence"], p["second"], pi, hits, segment=unit)


def _unit(rule: Rule, label: str, known: Mapping[str, Any]) -> str:
    segment = next((name for name, text in rule.segments.items() if _condition(text)(known) is True), "")
    return terms.unit(segment, label if rule.by_label else None)


def _barred(rule: Rule, scored: Prediction, label: str, sure: float, known: Mapping[str, Any]) -> str | None:
    """Why a case would not act alone however sure the model is; it is then no evidence of what does."""
    if label not in rule.thresholds:
        return f"{label} never acts alone"
    if label in rule.own:
        own = rule.own[label]
        if own is None:
            return f"{label} never acts alone"
        if sure < own:
            return f"confidence {sure:.3f} is below {own:g}"
    if rule.strange is not None and scored.strangeness is not None and scored.strangeness < rule.strange:
        return "unlike anything the model learned from"
    for text in rule.vetoes:
        held = _condition(text)(known)
        if held is not False:
            return f"never alone: {text}" + ("" if held else " (a value is missing)")
    return None


def _checked(rule: Rule, unit: str, kind: str) -> float:
    """The probability of the evidence draw. What is earned rests on every case that people see anyway."""
    if rule.units is None:
        return rule.audit_rate
    return rule.units[unit].rate if kind == "auto" else 1.0


def _decide(rule: Rule, unit: str, label: str, sure: float, barred: str | None) -> tuple[Literal["auto", "review"], str]:
    if barred is not None:
        return "review", barred
    if rule.level == "frozen":
        return "review", "automation is frozen"
    threshold = rule.thresholds.get(label)
    if threshold is None:
        return "review", f"{label} never acts alone"
    if rule.units is not None:
        climbed = rule.units.get(unit)
        if climbed is None or climbed.threshold is None:
            return "review", "nothing is certified yet"
        threshold = max(threshold, climbed.threshold)
    if sure < threshold:
        return "review", f"confidence {sure:.3f} is below {threshold:g}"
    return "auto", f"confidence {sure:.3f} reaches {threshold:g}"


_conditions: dict[str, Condition] = {}


def _condition(text: str) -> Condition:
    if text not in _conditions:
        _conditions[text] = parse_condition(text)
    return _conditions[text]


def draw(key: bytes, project: str, item: str, rule_id: int, purpose: str) -> float:
    """A uniform number in [0, 1) that nobody without the key can foresee: HMAC-SHA256 over length-prefixed parts."""
    message = _part(project) + _with_length(item) + _part(str(rule_id)) + _part(purpose)
    return int.from_bytes(hmac.digest(key, message, "sha256")[:7], "big") / 2**56


def _with_length(text: str) -> bytes:
    part = text.encode()
    return len(part).to_bytes(4, "big") + part


_part = lru_cache(maxsize=1_000)(_with_length)


def expected_loss(prediction: Prediction, costs: Costs) -> float:
    """The expected cost of letting the prediction act, as a share of the dearest error: 0 to 1."""
    cost = {label: costs.error.get(label, 1.0) for label in prediction.labels}
    dearest = max(cost.values()) or 1.0
    others = zip(prediction.labels, prediction.probabilities, strict=True)
    return sum(p * cost[label] for label, p in others if label != prediction.label) / dearest


def urgency(order: Order, scored: Scored, route: Route, costs: Costs) -> float:
    """w of the rank, 0.1 (first) to 1 (last); an item without a score is the least certain there is."""
    if order in ("due", "fifo"):
        return 1.0
    if not isinstance(scored, Prediction) or route.confidence is None:
        return 0.1
    loss = expected_loss(scored, costs) if order == "expected_loss" else 1.0 - route.confidence
    return 1.0 - 0.9 * min(max(loss, 0.0), 1.0)


def rank(order: Order, routed_at: datetime, weight: float, due_at: datetime | None) -> int:
    """The virtual deadline in microseconds since 1970, computed once: lowest is claimed first.

    Nothing starves: whatever arrives more than the horizon later ranks behind. A case ordered by its due time is behind what
    is due before, so what arrives after it is due ranks behind; one that is not due at all has the horizon among those that are.
    """
    if order == "due" and due_at is not None:
        return microseconds(due_at)
    return microseconds(routed_at + HORIZON * weight)
