"""The gate: a challenger held against the model that acts, on the same cases; what passes is offered for signing.

It passes where it is shown to be wrong no more often, overall by a fifth of max_error, and by max_error for each label and each
value of a group of which there is enough to tell; and where nothing shows that one of them is worse. Sources: Waudby-Smith and
Ramdas 2024 for the bets, Ville 1939 for their validity at every look.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from contract.inputs import read_input
from contract.predictors import Predictor
from contract.records import Row
from db import blobs
from db.engine import Database
from db.tables import Item
from retrain import examples, ledger, loading, registry, verdicts
from retrain.ledger import Ask, Bools, Ledger
from retrain.records import ModelInfo
from retrain.verdicts import Verdict
from review_queue import acting, betting, duel, projects, rules
from review_queue.activity import Actor
from review_queue.betting import Array
from review_queue.duel import Cell
from review_queue.errors import Refused
from review_queue.projects import Setting

OVERALL = 5
"""The part of max_error by which a challenger may be wrong more often overall: one in so many."""
ENOUGH = 0.9
"""There is enough of a label or group to tell where an equal model would be shown to be no worse with this chance."""
HARM = 20
"""The e-value of being worse that keeps a challenger out."""
RESAMPLES = 2000
ROUNDS = 5
SPEED_ROWS = 128
CHUNK = 512
MOST_VALUES = 200
"""Values of one group that are told, the most frequent first."""
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Part:
    """A label, a value of a group, or where cases came from. `state`: shown (no worse), harmed, open (not shown yet), or few.

    `differ`: cases on which the two differ; `apart`: those of them in which one was seen to be right. `difference` of their
    accuracy (new less old), with limits that hold at all times; None of no cases. `accuracy`: old, new; None where nothing is
    known. `more`: about how many more cases on which they differ it takes, or cases at all where they differ on none; None: no
    end in sight, or none are needed.
    """

    by: str
    value: str
    n: int
    differ: int
    apart: int
    log_e: float
    log_e_worse: float
    state: str
    difference: float | None
    low: float
    high: float
    accuracy: tuple[float, float] | None
    more: int | None


def run(
    database: Database,
    project: str,
    version: int,
    *,
    device: str = "auto",
    by: Actor | None = None,
    progress: Progress | None = None,
    models: Sequence[Predictor] | None = None,
) -> dict[str, Any]:
    """Look at a challenger, keep what is found, and offer it where it passes: its figures, JSON-ready, with `gate`, `proposal`.

    `models`: champion and challenger where they are loaded already. Raises NotFound for an unknown version; Refused where no
    model acts, or this one does, or it answers elsewhere, or another took over meanwhile.
    """
    report = progress or (lambda share, step: None)
    setting = database.read(projects.get, project)
    old, new = database.read(_pair, setting, version)
    report(0.02, "loading both models")
    held = models or [loading.load(database, each, device=device) for each in (old, new) if not each.external]
    asks = (None if old.external else _ask(held[0]), _ask(held[-1]))
    found = ledger.gather(database, setting, old, new, asks, lambda share, step: report(0.05 + 0.8 * share, step))
    report(0.9, "weighing what was found")
    figures = judge(found, setting.policy.evidence.max_error, 1 - setting.policy.evidence.confidence)
    figures |= {"champion": old.version, "challenger": new.version, "size": {"champion": old.size, "challenger": new.size}}
    figures["speed"] = None if old.external else _speed(held, database.read(_sample, setting))
    verdict, proposal = database.write(_conclude, setting, (new, old), found.watermark, figures, by)
    report(1.0, "passed: offered for signing" if verdict.passed else "not offered")
    return {**figures, "gate": str(verdict.id), "proposal": str(proposal) if proposal is not None else None}


def judge(found: Ledger, max_error: float, delta: float) -> dict[str, Any]:
    """What a ledger proves, JSON-ready: `passed`, `said` in a sentence, `missing` in words, `parts`, and the figures overall.

    `delta`: the chance of passing what is worse overall, or in a part of which there is enough.
    """
    counts = _Counts(found)
    whole = _part(counts, "overall", "", np.ones(len(found.p), dtype=np.bool_), max_error / OVERALL, delta)
    parts = [_part(counts, name, value, mask, max_error, delta) for name, value, mask in _groups(found)]
    parts += [_of_label(counts, label, n, max_error, delta) for n, label in enumerate(found.labels)]
    parts = [part for part in parts if part.n]
    missing = [*_nothing(found), *_lacking(whole, found), *(_said(part) for part in parts if part.state in ("harmed", "open"))]
    cells = counts.cells(np.ones(len(found.p), dtype=np.bool_))
    better = duel.log_e(cells, 0.0) >= duel.line(delta)
    figures = {
        "passed": whole.state == "shown" and not missing,
        "missing": missing,
        "margin": max_error / OVERALL,
        "group_margin": max_error,
        "delta": delta,
        "better": better,
        "overall": asdict(whole),
        "parts": [asdict(part) for part in parts],
        "waiting": int((found.waiting & found.differ).sum()),
        "unseen": int((found.differ & (found.p == 0)).sum()),
        **_beside(found, cells),
    }
    return figures | {"said": _sentence(figures)}


class _Counts:
    """Counts of cells by mask: what kinds of cases there are is worked out once."""

    def __init__(self, found: Ledger) -> None:
        self.found = found
        self.apart = found.before(found.waiting & found.differ)
        self.complete = found.before(found.waiting)
        differ, rare = found.differ, found.differ & (found.p < found.least_apart)
        assumed = rare | (differ & found.late)
        d = np.where(assumed, 1, np.where(differ & found.known, found.d, 0))
        p = np.where(differ & ~rare, found.p, np.where(rare, 1.0, found.least_apart))
        self._apart, self._at_apart = _kinds(found.least_apart, p, d, assumed)
        label_p = np.where(found.p >= found.least, found.p, 1.0)
        self._label, self._at_label = _kinds(found.least, label_p, np.where(found.known, d, 1), ~found.known)

    def cells(self, mask: Bools) -> list[Cell]:
        """Of a part of the cases: those on which both say the same count as known."""
        return _counted(self._apart, self._at_apart[mask & self.apart])

    def of_label(self, label: int) -> list[Cell]:
        """Of the cases whose right label is this one, and of those that might be and would count against the new model."""
        found = self.found
        unseen = (found.late | (found.p == 0)) & found.differ & (found.old == label)
        return _counted(self._label, self._at_label[self.complete & (unseen | (found.truth == label))])


def _kinds(p_min: Array, p: Array, d: Any, assumed: Bools) -> tuple[Array, Any]:
    rows = np.column_stack([p_min, p, d, assumed]).astype(np.float64)
    kinds, at = np.unique(rows, axis=0, return_inverse=True)
    return kinds, at.reshape(-1)


def _counted(kinds: Array, at: Any) -> list[Cell]:
    counts = np.bincount(at, minlength=len(kinds))
    return [
        Cell(float(p_min), float(p), int(d), int(n), bool(assumed))
        for (p_min, p, d, assumed), n in zip(kinds.tolist(), counts, strict=True)
        if n
    ]


def _part(counts: _Counts, by: str, value: str, mask: Bools, margin: float, delta: float) -> Part:
    found, held = counts.found, mask & counts.apart
    return _weighed(
        (by, value), counts.cells(mask), int(held.sum()), int((held & found.differ).sum()), _right(found, mask), margin, delta
    )


def _of_label(counts: _Counts, label: str, n: int, margin: float, delta: float) -> Part:
    found = counts.found
    mask = found.truth == n
    held, cells = mask & counts.complete, counts.of_label(n)
    sizes = int(held.sum()), int((held & found.differ).sum())
    return _weighed(("label", label), cells, *sizes, _right(found, mask), margin, delta, looked=True)


def _weighed(
    called: tuple[str, str],
    cells: Sequence[Cell],
    n: int,
    differ: int,
    accuracy: tuple[float, float] | None,
    margin: float,
    delta: float,
    *,
    looked: bool = False,
) -> Part:
    log_e, seen = duel.log_e(cells, margin, looked=looked), [cell for cell in cells if not cell.assumed]
    worse = duel.log_e_worse(seen, margin, looked=looked)
    mean = duel.estimate(cells, looked=looked)
    state = _state(cells, log_e, worse, margin, delta, looked) if called[0] != "overall" else _whole_state(log_e, worse, delta)
    times = duel.further(cells, margin, delta, looked=looked) if state == "open" and cells else None
    return Part(
        by=called[0],
        value=called[1],
        n=n,
        differ=differ,
        apart=int(sum(cell.n for cell in seen if cell.d)),
        log_e=log_e,
        log_e_worse=worse,
        state=state,
        difference=-mean[0] if mean is not None else None,
        low=-duel.upper(cells, delta, looked=looked),
        high=-duel.lower(seen, delta, looked=looked),
        accuracy=accuracy,
        more=math.ceil((times - 1) * (differ or n)) if times is not None else None,
    )


def _whole_state(log_e: float, worse: float, delta: float) -> str:
    return "harmed" if worse >= math.log(HARM) else "shown" if log_e >= duel.line(delta) else "open"


def _state(cells: Sequence[Cell], log_e: float, worse: float, margin: float, delta: float, looked: bool) -> str:
    """Whether there is enough to tell is asked of the counts alone, never of who was right: so it cannot be had by looking."""
    if worse >= math.log(HARM):
        return "harmed"
    if log_e >= duel.line(delta):
        return "shown"
    return "open" if duel.chance(cells, margin, delta, looked=looked) >= ENOUGH else "few"


def _groups(found: Ledger) -> Iterator[tuple[str, str, Bools]]:
    """Where cases came from, and every value of every group."""
    if found.aside.any() and not found.aside.all():
        yield "cases", ledger.ASIDE, found.aside
        yield "cases", ledger.ARRIVED, ~found.aside
    for name, values in found.groups.items():
        held = [value for value in values if value is not None]
        names, sizes = np.unique(np.array(held, dtype=np.str_), return_counts=True)
        for value in names[np.argsort(-sizes, kind="stable")][:MOST_VALUES].tolist():
            yield name, value, np.asarray(values == value)


def _right(found: Ledger, mask: Bools) -> tuple[float, float] | None:
    """How often each of them is right, of the cases whose right label is known, each at the inverse of its chance."""
    held = mask & found.known & (found.p > 0)
    if not held.any():
        return None
    weights, truth = 1 / found.p[held], found.truth[held]
    old, new = (float(np.average(said[held] == truth, weights=weights)) for said in (found.old, found.new))
    return old, new


def _beside(found: Ledger, cells: Sequence[Cell]) -> dict[str, Any]:
    """What is shown beside the bets and decides nothing: counts, McNemar's e-value, and a bootstrap interval."""
    sure = found.differ & found.known & (found.p == 1)
    worse, better = int((sure & (found.d > 0)).sum()), int((sure & (found.d < 0)).sum())
    return {
        "only_champion_right": worse,
        "only_challenger_right": better,
        "log_e_mcnemar": betting.mcnemar(worse, better),
        "bootstrap": _bootstrap(cells),
        "labels": int(found.known.sum()),
    }


def _bootstrap(cells: Sequence[Cell]) -> tuple[float, float] | None:
    """95 % percentiles of the difference in accuracy over resampled cases."""
    n = int(sum(cell.n for cell in cells))
    if not n:
        return None
    shares, values = np.array([cell.n / n for cell in cells]), np.array([-cell.d / cell.p for cell in cells])
    means = np.random.default_rng(0).multinomial(n, shares, RESAMPLES) @ values / n
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _nothing(found: Ledger) -> list[str]:
    return [] if len(found.p) else ["no case has arrived that neither of the two learned from"]


def _lacking(whole: Part, found: Ledger) -> list[str]:
    if whole.state == "shown" or not len(found.p):
        return []
    waits, nobody = int((found.waiting & found.differ).sum()), int((found.differ & (found.p == 0)).sum())
    told = [f"{waits:,} cases on which they differ wait for an answer"] if waits else []
    if nobody:
        told.append(f"{nobody:,} on which they differ acted alone where nobody looks, and count against it")
    return ["; ".join([_said(whole), *told])]


def _said(part: Part) -> str:
    """What a part lacks, in words."""
    where = {"overall": "overall", "label": f"on {part.value}", "cases": f"on cases that {_came(part.value)}"}.get(
        part.by, f"where {part.by} is {part.value}"
    )
    found = f"they differ on {part.differ:,} of {part.n:,}, and one of them was right in {part.apart:,}"
    if part.state == "harmed":
        return f"it is worse {where} (e = {_number(part.log_e_worse)} of {HARM}; {found})"
    if part.more is not None:
        which = "decided cases on which they differ" if part.differ else "cases"
        return f"{where} about {part.more:,} more {which} are needed ({found})"
    return f"{where} it is not shown to be no worse, and as it goes it will not be ({found})"


def _came(value: str) -> str:
    return "were set aside at the start" if value == ledger.ASIDE else "arrived"


def _number(log_e: float) -> str:
    return f"{math.exp(min(log_e, 700.0)):.3g}"


def _sentence(figures: dict[str, Any]) -> str:
    if not figures["passed"]:
        return f"not offered: {figures['missing'][0]}"
    whole = figures["overall"]
    points = f"{100 * whole['difference']:+.1f} points ({100 * whole['low']:+.1f} to {100 * whole['high']:+.1f})"
    few = sum(part["state"] == "few" for part in figures["parts"])
    told = f"; of {few} labels and groups there is too little to tell" if few else ""
    return f"passed: {'better' if figures['better'] else 'no worse'}, {points} on {whole['n']:,} cases{told}"


def _pair(session: Session, setting: Setting, version: int) -> tuple[ModelInfo, ModelInfo]:
    """The model that acts, and the challenger."""
    old, new = registry.champion(session, setting.id), registry.model(session, setting.id, version)
    if old is None:
        raise Refused("there is no champion to compare with; promote this one")
    if old.version == version:
        raise Refused(f"model {version} is the champion; train another one")
    if new.external:
        raise Refused(f"model {new.called} answers elsewhere and cannot be asked about other cases; compare it there")
    registry.refuse_misfit(new, setting.project)
    return old, new


def _ask(model: Predictor) -> Ask:
    def ask(rows: Sequence[Row]) -> Sequence[Any]:
        from inference.batching import predict_in_batches

        return predict_in_batches(model, rows, CHUNK)

    return ask


def _sample(session: Session, setting: Setting) -> list[Row]:
    """Rows to take the time by: set aside, or the latest that arrived."""
    if len(held := examples.base(session, setting, "test")):
        return list(held.rows[:SPEED_ROWS])
    query = select(Item.input).where(Item.project_id == setting.id, Item.input.is_not(None)).order_by(Item.id.desc())
    given = [read_input(setting.project, text) for text in session.scalars(query.limit(SPEED_ROWS))]
    return list(blobs.fill(session, given))


def _speed(models: Sequence[Predictor], rows: Sequence[Row]) -> dict[str, Any] | None:
    """Milliseconds per row of both, taken in turns: medians of a few rounds, after one that warms up."""
    if not rows:
        return None
    rounds = [[_seconds(model, rows) for model in models] for _ in range(ROUNDS + 1)][1:]
    old, new = (1000 * statistics.median(column) / len(rows) for column in zip(*rounds, strict=True))
    return {"rows": len(rows), "champion_ms": old, "challenger_ms": new, "ratio": new / old}


def _seconds(model: Predictor, rows: Sequence[Row]) -> float:
    begun = time.perf_counter()
    model.predict(rows)
    return time.perf_counter() - begun


def _conclude(
    session: Session,
    setting: Setting,
    pair: tuple[ModelInfo, ModelInfo],
    watermark: int,
    figures: dict[str, Any],
    by: Actor | None,
) -> tuple[Verdict, int | None]:
    """Keep the verdict, and offer what passed; the proposal where there is one."""
    new, old = pair
    rules.lock(session, setting.id)
    if acting.model_id(session, setting.id) != old.id:
        raise Refused(f"another model than {old.version} acts by now; look at the gate against that one")
    verdict = verdicts.keep(session, setting.id, (new.id, old.id), watermark, figures, by)
    if not verdict.passed:
        return verdict, None
    return verdict, registry.offer(session, setting.id, new.version, verdict.id, by=by).id
