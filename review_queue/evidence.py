"""What spot checks and blind answers prove of each threshold: counts by one statement, e-values over them.

Only draws count, each with its own chance, once all earlier ones are resolved: those before the watermark, the least item whose
draw is open. What nobody resolved in time counts as an error (outcomes.resolve_overdue). Answers to gold, answers that somebody
asked for and answers after the reveal resolve no draw, and so are no evidence.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from db.statements import run
from db.tables import AutonomyEvent, Certificate, EvidencePeriod, Replayed, RoutingRule
from review_queue import betting, clock, permits, steps, terms
from review_queue.betting import Group
from review_queue.permits import Permit
from review_queue.terms import Terms

if TYPE_CHECKING:
    from review_queue.projects import Setting

FOR_CERTIFICATES = 0.8
"""The part of 1 - confidence that certificates may spend; the rest is for the proof that people see errors."""
END = 2**62
"""A watermark behind every item."""
OPEN = 10_000
"""Open draws that are counted; more are so many."""
GOLD = 10_000
"""The latest answers to gold that vigilance looks back over."""


@dataclass(frozen=True, slots=True)
class Band:
    """The cases at or above one threshold: `n` of them, `drawn` looked at, `errors` found (each weighs 1 / its chance).

    `estimate` of the share of errors with its standard error `se`, None of no cases. `log_e` against "at least alpha of them
    are wrong". `before`: how many of those drawn the model brought along from earlier periods. `certified_at`: since when this
    threshold and every stricter one are certified. `news`: its own evidence reached the line, and no certificate says so yet.
    """

    band: int
    threshold: float
    n: int
    drawn: int
    errors: int
    estimate: float | None
    se: float | None
    log_e: float
    certified_at: datetime | None
    delta: float
    groups: tuple[Group, ...]
    news: bool = False
    before: int = 0

    @property
    def upper(self) -> float:
        """The error that is not exceeded, at all times at once."""
        return _upper(self.groups, self.delta)

    def counts(self) -> dict[str, Any]:
        """What a step or a certificate keeps of it."""
        return {
            "threshold": self.threshold,
            "n": self.n,
            "drawn": self.drawn,
            "before": self.before,
            "errors": self.errors,
            "estimate": self.estimate,
            "upper": self.upper,
        }


@dataclass(frozen=True, slots=True)
class Ledger:
    """The evidence of one unit. `bands`: strictest first. `certified`: the lowest certified threshold.

    `alpha`: the share of errors found that has to be refuted (max_error less what people may miss). `delta`: the chance of
    being wrong that is this unit's to spend. `begun`: how often its evidence began in this period, as an alarm begins it anew,
    which spends that chance again; `first_rule`: the rule from which on it counts.
    """

    unit: str
    called: str
    alpha: float
    delta: float
    bands: tuple[Band, ...]
    begun: int
    first_rule: int

    @property
    def line(self) -> float:
        """Where a threshold is certified: the logarithm of 1 / delta."""
        return -math.log(self.delta)

    @property
    def certified(self) -> Band | None:
        return next((band for band in reversed(self.bands) if band.certified_at is not None), None)

    def at(self, threshold: float | None) -> Band | None:
        """The band of a threshold of the grid."""
        return next((band for band in self.bands if band.threshold == threshold), None)


@dataclass(frozen=True, slots=True)
class Vigilance:
    """What is known of how many errors people miss: `missed` of `n` gold cases in which the model erred, answered blind.

    `log_e` against "they miss at least `most`". Where `most` is 0 nothing is asked.
    """

    n: int
    missed: int
    log_e: float
    needed_log_e: float
    most: float

    @property
    def proven(self) -> bool:
        return self.most == 0 or self.log_e >= self.needed_log_e


@dataclass(frozen=True, slots=True)
class Evidence:
    """What stands in the open evidence period. `watermark` None: no draw is open. `open_draws` counts to OPEN at most.

    `cells`: the counts by unit, without what the model brought along. `least`: the least chance of a look by rule and unit,
    known when the rule was made: what its bets rest on. `made`: when each rule was.
    """

    period_id: int
    opened_at: datetime
    model_id: int
    score: str
    grid: tuple[float, ...]
    max_error: float
    alpha: float
    delta: float
    watermark: int | None
    open_draws: int
    vigilance: Vigilance
    units: Mapping[str, Ledger]
    cells: Mapping[str, Sequence["Cell"]]
    least: Mapping[tuple[int, str], float]
    made: Mapping[int, datetime]

    def begun(self, ledger: Ledger) -> datetime:
        """Since when a unit's evidence counts: the period's beginning, or the last alarm."""
        return self.made.get(ledger.first_rule, self.opened_at)

    def since(self, unit: str, moment: datetime, threshold: float) -> Band | None:
        """What was seen of one threshold under the rules made since a moment alone; None of one that is not in the grid."""
        if threshold not in self.grid:
            return None
        mine = [cell for cell in self.cells.get(unit, ()) if self.made[cell.rule] >= moment]
        ledger = self.units[unit]
        found = _bands(self.grid, mine, self.least, {}, ledger.alpha, ledger.delta)
        return next(band for band in found if band.threshold == threshold)


@dataclass(frozen=True, slots=True)
class Cell:
    """Cases that count alike: of one rule, unit, band and chance; `errors` of the `drawn` ones are wrong."""

    rule: int
    unit: str
    band: int
    p: float
    n: int
    drawn: int
    errors: int


def held(session: Session, setting: "Setting") -> tuple[Terms, Permit]:
    """The terms that hold in a project, and what was signed for: the policy asks, the permit allows."""
    asked = terms.terms(setting.policy, list(setting.project.labels))
    permit = permits.read(session, setting.id) or Permit(asked)
    return terms.stricter(asked, permit.terms), permit


def read(session: Session, setting: "Setting") -> Evidence | None:
    """The evidence of the open period, of each unit; None before a model acts."""
    period = session.execute(
        select(EvidencePeriod).where(EvidencePeriod.project_id == setting.id, EvidencePeriod.closed_at.is_(None))
    ).scalar_one_or_none()
    if period is None:
        return None
    holding, _ = held(session, setting)
    names = terms.units(holding)
    (watermark, cells), anew = _cells(session, period.id), _anew(session, setting.id, period.id)
    cells = {name: [cell for cell in each if cell.rule >= anew.get(name, _NEVER)[0]] for name, each in cells.items()}
    (least, made), crossed = _rules(session, period.id), _crossed(session, period.id)
    brought, least = _replayed(session, period.id, anew, least)
    alpha, delta = effective(holding)
    mine = delta / len(names)
    grid = tuple(period.grid)
    return Evidence(
        period_id=period.id,
        opened_at=period.opened_at,
        model_id=period.model_id,
        score=period.score,
        grid=grid,
        max_error=holding.max_error,
        alpha=alpha,
        delta=delta,
        watermark=watermark if watermark < END else None,
        open_draws=_open(session, period.id),
        vigilance=_vigilance(session, setting.id, period.opened_at, holding),
        units={
            name: Ledger(
                name,
                terms.called(name),
                alpha,
                mine,
                tuple(_bands(grid, cells.get(name, []), least, crossed.get(name, {}), alpha, mine, brought.get(name, []))),
                1 + anew.get(name, _NEVER)[1],
                anew.get(name, _NEVER)[0],
            )
            for name in names
        },
        cells=cells,
        least=least,
        made=made,
    )


def effective(holding: Terms) -> tuple[float, float]:
    """The error that has to be refuted where people may miss some, and the chance of being wrong that certificates spend."""
    delta = 1 - holding.confidence
    if holding.most_missed == 0:
        return holding.max_error, delta
    return holding.max_error * (1 - holding.most_missed), FOR_CERTIFICATES * delta


def has_news(evidence: Evidence) -> bool:
    """Whether a threshold reached the line that was not known to have."""
    return any(band.news for ledger in evidence.units.values() for band in ledger.bands)


def keep(session: Session, evidence: Evidence) -> int:
    """Store each threshold whose evidence reached the line, once: how many. From then on it counts as crossed. Call under
    rules.lock: so nobody else stores it, and no alarm began its evidence anew meanwhile."""
    stored = _crossed(session, evidence.period_id)
    rows = [
        _certificate(evidence, ledger, band)
        for ledger in evidence.units.values()
        for band in ledger.bands
        if band.news and band.band not in stored.get(ledger.unit, {})
    ]
    if rows:
        session.execute(insert(Certificate), rows)
    return len(rows)


def _certificate(evidence: Evidence, ledger: Ledger, band: Band) -> dict[str, Any]:
    return {
        "period_id": evidence.period_id,
        "unit": ledger.unit,
        "band": band.band,
        "threshold": band.threshold,
        "watermark": evidence.watermark or END,
        "counts": band.counts(),
        "log_e": band.log_e,
        "alpha": ledger.alpha,
        "delta": ledger.delta,
        "code_version": steps.code_version(),
        "made_at": clock.now(),
    }


_COUNTED = f"""
WITH mark AS (
    SELECT coalesce(min(item_id), {END}) AS item_id FROM draw
    WHERE period_id = :period AND purpose = 'evidence' AND resolved_at IS NULL
)
SELECT 0 AS kind, routing_rule_id, segment, band, p_evidence AS p, count(*) AS n, 0 AS errors FROM routing
WHERE period_id = :period AND band > 0 AND p_evidence > 0 AND item_id < (SELECT item_id FROM mark)
GROUP BY routing_rule_id, segment, band, p_evidence
UNION ALL
SELECT 1, routing_rule_id, segment, band, p, count(*), sum(loss) FROM draw
WHERE period_id = :period AND purpose = 'evidence' AND loss IS NOT NULL AND item_id < (SELECT item_id FROM mark)
GROUP BY routing_rule_id, segment, band, p
UNION ALL
SELECT 2, 0, '', 0, 0.0, item_id, 0 FROM mark
"""
"""In one statement, so that the counts and the watermark are of one moment."""


def _cells(session: Session, period_id: int) -> tuple[int, dict[str, list[Cell]]]:
    """The watermark, and the counts below it by unit."""
    seen: dict[tuple[int, str, int, float], int] = {}
    found: dict[tuple[int, str, int, float], tuple[int, int]] = {}
    watermark = END
    for kind, rule, unit, band, p, n, errors in run(session, _COUNTED, {"period": period_id}):
        if kind == 0:
            seen[rule, unit, band, p] = int(n)
        elif kind == 1:
            found[rule, unit, band, p] = int(n), int(errors)
        else:
            watermark = int(n)
    cells: defaultdict[str, list[Cell]] = defaultdict(list)
    for key, n in seen.items():
        cells[key[1]].append(Cell(*key, n, *found.get(key, (0, 0))))
    return watermark, cells


def _rules(session: Session, period_id: int) -> tuple[dict[tuple[int, str], float], dict[int, datetime]]:
    columns = (RoutingRule.id, RoutingRule.units, RoutingRule.pi_min, RoutingRule.made_at)
    least: dict[tuple[int, str], float] = {}
    made: dict[int, datetime] = {}
    for rule, units, pi_min, made_at in session.execute(select(*columns).where(RoutingRule.period_id == period_id)).tuples():
        made[rule], least[rule, terms.WHOLE] = made_at, pi_min
        for name, each in (units or {}).items():
            least[rule, name] = each["rate"] if each["threshold"] is not None else 1.0
    return least, made


_NEVER = (0, 0)


def _anew(session: Session, project_id: int, period_id: int) -> dict[str, tuple[int, int]]:
    """From which rule on the evidence of a unit counts since an alarm, and how many alarms there were."""
    query = select(AutonomyEvent.unit, func.max(AutonomyEvent.routing_rule_id), func.count())
    fell = (AutonomyEvent.kind == "fall", AutonomyEvent.to_level == "assist", AutonomyEvent.made_by.is_(None))
    query = query.where(AutonomyEvent.project_id == project_id, AutonomyEvent.period_id == period_id, *fell)
    rows = session.execute(query.where(AutonomyEvent.routing_rule_id.is_not(None)).group_by(AutonomyEvent.unit))
    return {unit: (rule or 0, n) for unit, rule, n in rows.tuples()}


def _replayed(
    session: Session, period_id: int, anew: Mapping[str, tuple[int, int]], least: Mapping[tuple[int, str], float]
) -> tuple[dict[str, list[Cell]], dict[tuple[int, str], float]]:
    """What the model brought along from earlier periods, by unit, and the least chances of a look with those of then. An alarm
    ends it, as it ends all that was seen before."""
    brought, then = defaultdict[str, list[Cell]](list), dict(least)
    for row in session.scalars(select(Replayed).where(Replayed.period_id == period_id)):
        if row.unit not in anew:
            brought[row.unit].append(Cell(row.routing_rule_id, row.unit, row.band, row.p, row.n, row.drawn, row.errors))
            then[row.routing_rule_id, row.unit] = min(row.p_min, then.get((row.routing_rule_id, row.unit), 1.0))
            then.setdefault((row.routing_rule_id, terms.WHOLE), row.p_min)
    return brought, then


def forget(session: Session, period_id: int, unit: str) -> None:
    """After an alarm: what was certified of a unit is so no more."""
    session.execute(delete(Certificate).where(Certificate.period_id == period_id, Certificate.unit == unit))


def _bands(
    grid: Sequence[float],
    cells: Sequence[Cell],
    least: Mapping[tuple[int, str], float],
    crossed: Mapping[int, datetime],
    alpha: float,
    delta: float,
    brought: Sequence[Cell] = (),
) -> Iterator[Band]:
    """Every threshold, strictest first. One is certified once it and all before it have reached the line at some look.

    `brought`: counts of earlier periods, which are stages like any other.
    """
    since: datetime | None = datetime.min.replace(tzinfo=clock.now().tzinfo)
    for number in range(len(grid), 0, -1):
        within = [cell for cell in (*cells, *brought) if cell.band >= number]
        groups = tuple(_groups(within, least))
        log_e = betting.log_e(groups, alpha)
        news = number not in crossed and log_e >= -math.log(delta)
        at = clock.now() if news else crossed.get(number)
        since = max(since, at) if since is not None and at is not None else None
        value = betting.estimate(groups)
        yield Band(
            band=number,
            threshold=grid[number - 1],
            n=sum(cell.n for cell in within),
            drawn=sum(cell.drawn for cell in within),
            errors=sum(cell.errors for cell in within),
            estimate=value[0] if value else None,
            se=value[1] if value else None,
            log_e=log_e,
            certified_at=since,
            delta=delta,
            groups=groups,
            news=news,
            before=sum(cell.drawn for cell in brought if cell.band >= number),
        )


def _groups(cells: Sequence[Cell], least: Mapping[tuple[int, str], float]) -> Iterator[Group]:
    """Counts by rule and chance; those in which an error was found apart. In one order, whatever that of the rows is."""
    counted: defaultdict[tuple[int, float, float, bool], int] = defaultdict(int)
    for cell in cells:
        p_min = least.get((cell.rule, cell.unit), least[cell.rule, terms.WHOLE])
        counted[cell.rule, p_min, cell.p, False] += cell.n - cell.errors
        counted[cell.rule, p_min, cell.p, True] += cell.errors
    for (rule, p_min, p, error), n in sorted(counted.items()):
        if n:
            yield Group(rule, p_min, p, error, n)


def _crossed(session: Session, period_id: int) -> dict[str, dict[int, datetime]]:
    query = select(Certificate.unit, Certificate.band, Certificate.made_at).where(Certificate.period_id == period_id)
    crossed: defaultdict[str, dict[int, datetime]] = defaultdict(dict)
    for unit, band, made_at in session.execute(query).tuples():
        crossed[unit][band] = made_at
    return crossed


_OPEN = """
SELECT count(*) FROM (
    SELECT 1 FROM draw WHERE period_id = :period AND purpose = 'evidence' AND resolved_at IS NULL LIMIT :most
) AS waiting
"""


def _open(session: Session, period_id: int) -> int:
    return int(run(session, _OPEN, {"period": period_id, "most": OPEN})[0][0])


_SEEDS = """
SELECT count(*), coalesce(sum(CASE WHEN said.label = routing.label THEN 1 ELSE 0 END), 0)
FROM (
    SELECT task_id, item_id, label FROM decision
    WHERE project_id = :project AND basis = 'gold' AND stage = 'first' AND decided_at >= :since
    ORDER BY decided_at DESC LIMIT :most
) AS said
JOIN task ON task.id = said.task_id
JOIN routing ON routing.item_id = task.item_id AND routing.n = task.routing_n
JOIN gold ON gold.item_id = said.item_id
WHERE routing.label IS NOT NULL AND (gold.label IS NULL OR gold.label <> routing.label)
"""


def _vigilance(session: Session, project_id: int, since: datetime, holding: Terms) -> Vigilance:
    n, missed = map(int, run(session, _SEEDS, {"project": project_id, "since": since, "most": GOLD})[0])
    most = holding.most_missed
    log_e = betting.vigilance(missed, n, most) if most else 0.0
    needed = -math.log((1 - FOR_CERTIFICATES) * (1 - holding.confidence))
    return Vigilance(n, missed, log_e, needed, most)


@lru_cache(maxsize=2048)
def _upper(groups: tuple[Group, ...], delta: float) -> float:
    return betting.upper(groups, delta)
