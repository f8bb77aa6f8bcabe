"""Spot checks of what acts alone, as they came: by day, by what was found, and by label and group."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from contract.conditions import ConditionError, parse_condition
from db.statements import run
from db.types import EPOCH
from review_queue import betting
from review_queue.betting import Group

DAY = timedelta(days=1)
LATEST = 5_000
"""Resolved draws, the latest first, that harm to labels and groups is sought in."""
HARM_TIMES = 2
HARM = 20
"""A label or group is unsafe where the e-value against "at most HARM_TIMES max_error of it are wrong" reaches HARM."""


@dataclass(frozen=True, slots=True)
class Day:
    """Checks drawn on one day (in UTC, of days since 1970) with one chance. `errors`: known to be wrong; `late`: nobody
    looked in time, which is an error for certificates and none for the detector."""

    day: int
    p: float
    n: int
    resolved: int
    errors: int
    late: int

    @property
    def at(self) -> datetime:
        return EPOCH + self.day * DAY


@dataclass(frozen=True, slots=True)
class Seen:
    """What was looked at of a unit, among the latest draws: of one predicted label, or one value of a group.

    `others`: (looks, errors) of the rest of the unit.
    """

    unit: str
    name: str
    value: str
    n: int
    errors: int
    log_e: float
    others: tuple[int, int]

    @property
    def harmed(self) -> bool:
        return self.log_e >= math.log(HARM)

    @property
    def condition(self) -> str | None:
        """What keeps it from acting alone, as a condition of the policy; None where it cannot be written as one."""
        quote = next((mark for mark in "\"'" if mark not in self.value), None)
        said = f"{self.name} == {quote}{self.value}{quote}"
        said = said if self.name == "label" else f"not {self.name} is missing and {said}"
        return said if quote is not None and _finds(said, {self.name: self.value}) else None


def _finds(condition: str, known: Mapping[str, str]) -> bool:
    try:
        return parse_condition(condition)(known) is True
    except ConditionError:
        return False


def days(session: Session, period_id: int, unit: str, since: datetime, *, whole: Sequence[int] = ()) -> list[Day]:
    """The checks of what acted alone in a unit since a moment, by day, oldest first.

    `whole`: rules under which all that acts alone is checked; those draws are found by the rule.
    """
    given = {"period": period_id, "unit": unit, "since": since}
    rows = [*run(session, _checked(session, _DRAWN), given)]
    for rule in whole:
        rows += run(session, _checked(session, _ALL), given | {"rule": rule})
    return sorted((Day(int(day), p, *map(int, counts)) for day, p, *counts in rows), key=lambda each: (each.day, each.p))


_ALONE = """(
    routing_rule_id IN (SELECT id FROM routing_rule WHERE period_id = :period AND units IS NOT NULL)
    OR (SELECT route FROM routing WHERE routing.item_id = draw.item_id AND routing.n = draw.n) = 'auto'
)"""
"""Under `earned` only what acts alone is drawn with a chance below 1, which spares a look at each routing."""
_DRAWN = f"""
FROM draw WHERE period_id = :period AND segment = :unit AND drawn_at >= :since AND purpose = 'evidence' AND p < 1 AND {_ALONE}
"""
_ALL = """
FROM routing JOIN draw ON draw.item_id = routing.item_id AND draw.n = routing.n AND draw.purpose = 'evidence'
WHERE routing.period_id = :period AND routing.routing_rule_id = :rule AND routing.segment = :unit AND routing.band > 0
    AND routing.route = 'auto' AND draw.p = 1 AND draw.drawn_at >= :since
"""
_DAYS = {
    "sqlite": "draw.drawn_at / 86400000000",
    "postgresql": "CAST(floor(extract(epoch FROM draw.drawn_at) / 86400) AS bigint)",
}


def _checked(session: Session, source: str) -> str:
    day = _DAYS[session.get_bind().dialect.name]
    return f"""
    SELECT {day} AS day, draw.p, count(*), count(draw.resolved_at),
        sum(CASE WHEN draw.loss = 1 AND draw.resolved_as <> 'overdue' THEN 1 ELSE 0 END),
        sum(CASE WHEN draw.resolved_as = 'overdue' THEN 1 ELSE 0 END)
    {source} GROUP BY day, draw.p
    """


_DUE = f"""
SELECT count(*), coalesce(sum(CASE WHEN resolved_as = 'overdue' THEN 1 ELSE 0 END), 0) FROM draw
WHERE period_id = :period AND segment = :unit AND drawn_at >= :early AND purpose = 'evidence' AND p < 1
    AND due_at > :since AND due_at <= :until AND {_ALONE}
"""


def due(session: Session, period_id: int, unit: str, since: datetime, until: datetime, span: timedelta) -> tuple[int, int]:
    """How many checks of what acted alone fell due between two moments, and how many of them nobody had looked at.

    `span`: the longest that a check takes from its draw to its due time.
    """
    given = {"period": period_id, "unit": unit, "early": since - span, "since": since, "until": until}
    n, late = run(session, _DUE, given)[0]
    return int(n), int(late)


def detected(checks: Sequence[Day], max_error: float) -> float:
    """M of the detector after the last day: checks that nobody has looked at yet, or in time, count as right."""
    by_day: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
    for each in checks:
        by_day[each.day][0] += each.errors
        by_day[each.day][1] += each.n
    found = betting.detector([(errors, n) for _, (errors, n) in sorted(by_day.items())], max_error)
    return found[-1] if found else 0.0


def share(checks: Sequence[Day]) -> float | None:
    """The share of errors among the resolved ones, each at one over its chance; None of none."""
    weight = sum(each.resolved / each.p for each in checks)
    return sum((each.errors + each.late) / each.p for each in checks) / weight if weight else None


_LATEST = """
SELECT segment, band, routing_rule_id, label, groups, count(*), sum(loss) FROM (
    SELECT segment, band, routing_rule_id, loss, period_id,
        (SELECT label FROM routing WHERE routing.item_id = draw.item_id AND routing.n = draw.n) AS label,
        (SELECT groups FROM item WHERE item.id = draw.item_id) AS groups
    FROM draw WHERE project_id = :project AND purpose = 'evidence' AND resolved_at IS NOT NULL
    ORDER BY resolved_at DESC LIMIT :most
) AS latest
WHERE period_id = :period AND band > 0 GROUP BY segment, band, routing_rule_id, label, groups
"""


def by_label_and_group(
    session: Session, project_id: int, period_id: int, begin: Mapping[str, tuple[int, int]], max_error: float
) -> list[Seen]:
    """Each label and each value of a group in the units named, of cases from a band and a rule on, the worst first."""
    counted: defaultdict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    whole: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    given = {"project": project_id, "period": period_id, "most": LATEST}
    for unit, band, rule, label, groups, n, errors in run(session, _LATEST, given):
        if unit in begin and band >= begin[unit][0] and rule >= begin[unit][1]:
            held = [whole[unit], *(counted[unit, name, value] for name, value in _kinds(label, groups))]
            for each in held:
                each[0] += int(n)
                each[1] += int(errors)
    seen = [_seen(*key, n, errors, whole[key[0]], HARM_TIMES * max_error) for key, (n, errors) in counted.items()]
    return sorted(seen, key=lambda each: (-each.log_e, each.unit, each.name, each.value))


def _seen(unit: str, name: str, value: str, n: int, errors: int, whole: Sequence[int], fit: float) -> Seen:
    return Seen(unit, name, value, n, errors, _above(n, errors, fit), (whole[0] - n, whole[1] - errors))


def _kinds(label: str | None, groups: str | None) -> Iterator[tuple[str, str]]:
    if label is not None:
        yield "label", label
    held: dict[str, Any] = json.loads(groups) if groups else {}
    for name, value in held.items():
        if value is not None:
            yield name, str(value)


def _above(n: int, errors: int, fit: float) -> float:
    if fit >= 1:
        return 0.0
    return betting.log_e_above([Group(0, 1.0, 1.0, False, n - errors), Group(0, 1.0, 1.0, True, errors)], fit)
