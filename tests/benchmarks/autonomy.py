"""The figures of docs/evidence.md: thousands of simulated deployments, under the ladder and under rules that others use.

python -m tests.benchmarks.autonomy [--runs 4000] [--seed 1] [table ...]
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from review_queue import audits, betting, exact, ladder
from tests.benchmarks.deployments import (
    COVERAGES,
    WIDTHS,
    Day,
    Deployments,
    Terms,
    World,
    above,
    cluster,
    curve,
    just_unsafe,
    risks,
    times,
)
from tests.review_queue import naive

Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]

TERMS = Terms()
LABELLED = 2_000
"""Cases of a validation split."""
ERRORS = 1_000
"""Errors up to which bounds are worked out; a threshold with more of them is none that could pass within the days simulated."""
FIRST = 300
"""Looked-at cases before a rule of thumb says anything: no error among fewer is no sign at 1 %."""
WORLDS = {"nominal": World(), "worst case": World(just_unsafe(TERMS.alpha))}


class HorvitzThompson:
    """Rises as soon as the estimate plus 1.645 standard errors is fit, on the labels of the ladder."""

    def __init__(self, runs: int) -> None:
        self.n, self.wrong, self.spread, self.looked = np.zeros((4, runs, len(COVERAGES)))
        self.passed: Bools = np.zeros((runs, len(COVERAGES)), bool)

    def __call__(self, held: Deployments, came: Day) -> None:
        self.n += above(came.n)
        self.looked += above(came.drawn)
        self.wrong += above(came.found / came.p)
        self.spread += above(came.found * (1 - came.p) / came.p**2)
        share = self.wrong / self.n
        limit = share + 1.645 * np.sqrt(self.spread / self.n**2 + share * np.maximum(1 - share, 0) / self.n)
        self.passed |= (limit <= held.terms.alpha) & (self.looked >= FIRST)


class Unweighted:
    """Rises as soon as a limit for one look is fit, on the labels of the ladder as if all had been drawn alike."""

    def __init__(self, runs: int, terms: Terms) -> None:
        self.looked, self.wrong = np.zeros((2, runs, len(COVERAGES)), int)
        self.passed: Bools = np.zeros((runs, len(COVERAGES)), bool)
        self.bounds = naive.one_look_bounds(terms.alpha, terms.delta, ERRORS)

    def __call__(self, held: Deployments, came: Day) -> None:
        self.looked += above(came.drawn)
        self.wrong += above(came.found)
        self.passed |= naive.enough(self.wrong, self.looked, self.bounds)


def all_labelled(world: World, runs: int, days: int, rng: np.random.Generator) -> Iterator[tuple[Counts, Counts]]:
    """Errors and cases from each threshold on, after each day."""
    errors, n = np.zeros((2, runs, len(COVERAGES)), int)
    for day in range(days):
        came = rng.multinomial(world.per_day, WIDTHS, size=runs)
        n = n + above(came)
        errors = errors + above(rng.binomial(came, world.at(day)))
        yield errors, n


def ever_passed(world: World, runs: int, days: int, rng: np.random.Generator, bounds: Counts) -> Bools:
    """By run and threshold, with a look each day."""
    passed = np.zeros((runs, len(COVERAGES)), bool)
    for errors, n in all_labelled(world, runs, days, rng):
        passed |= naive.enough(errors, n, bounds)
    return passed


def unsafe(passed: Bools, world: World, alpha: float = TERMS.alpha) -> Bools:
    return (passed & (risks(world.rates) > alpha)).any(axis=1)


def in_sequence(passed: Bools) -> Bools:
    """Those before which all stricter ones passed."""
    return np.logical_and.accumulate(passed, axis=1)


def at_alpha(runs: int, days: int, rng: np.random.Generator, terms: Terms = TERMS) -> float:
    """How often the bets refute what is true: an error of alpha just so, half of the cases reviewed, a quarter of the others
    drawn, looked at daily."""
    p_min, products, best = np.array([ladder.AUDITED_RATE]), np.zeros((runs, betting.BETS)), np.zeros(runs)
    none, whole, part = (betting.bets(terms.alpha, p_min, np.array([z]))[0] for z in (0.0, 1.0, 1 / p_min[0]))
    for _ in range(days):
        reviewed = rng.binomial(200, terms.alpha, runs)
        spotted = rng.binomial(200, terms.alpha * p_min[0], runs)
        products += (400 - reviewed - spotted)[:, None] * none + reviewed[:, None] * whole + spotted[:, None] * part
        best = np.maximum(best, betting.mixed(products))
    return float((best >= -math.log(terms.delta)).mean())


def peeking(runs: int, rng: np.random.Generator, terms: Terms = TERMS) -> float:
    """How often a limit for one look refutes what is true when it is looked at after each spot check, up to 9,000."""
    bounds = naive.one_look_bounds(terms.alpha, terms.delta, 400)
    errors = np.cumsum(rng.random((runs, 9_000)) < terms.alpha, axis=1)
    return float(naive.enough(errors, np.arange(1, 9_001), bounds).any(axis=1).mean())


def one_look(world: World, runs: int, rng: np.random.Generator, production: World | None = None) -> dict[str, Bools]:
    """By rule the runs in which a validation split of `world` leads to a threshold that is unsafe in production, the same unless
    another is given."""
    n = above(rng.multinomial(LABELLED, WIDTHS, size=runs))
    errors = above(rng.binomial(np.diff(n, prepend=0, append=LABELLED), world.rates))
    bounds = naive.one_look_bounds(TERMS.alpha, TERMS.delta, ERRORS)
    passed, real = naive.enough(errors, n, bounds), production or world
    return {
        "validation error at most the target": unsafe(errors <= TERMS.alpha * n, real),
        "one look, Clopper-Pearson 95 %": unsafe(passed, real),
        "one look, learn then test": unsafe(in_sequence(passed), real),
    }


def selective(world: World, runs: int, rng: np.random.Generator) -> Bools:
    """The same for SGR with exact bounds, over the cases themselves."""
    found = np.zeros(runs, bool)
    risk, band = np.append(risks(world.rates), 1.0), np.cumsum(WIDTHS)
    for run in range(runs):
        at = np.sort(rng.random(LABELLED))
        wrong = rng.random(LABELLED) < world.rates[np.searchsorted(band, at).clip(max=len(band) - 1)]
        threshold, _ = naive.selective_guarantee(1 - at, wrong, TERMS.alpha, TERMS.delta)
        found[run] = math.isfinite(threshold) and float(np.interp(1 - threshold, COVERAGES, risk[:-1])) > TERMS.alpha
    return found


def percent(share: float, digits: int) -> str:
    return f"{100 * share:.{digits}f} %"


def said(held: Bools) -> str:
    """A share with the 95 % limits of Clopper and Pearson."""
    low, high = exact.interval(int(held.sum()), len(held))
    return f"{percent(held.mean(), 2)} ({100 * low:.2f} to {100 * high:.2f})"


def guarantee(runs: int, seed: int) -> Iterator[Sequence[str]]:
    yield "rule", *WORLDS
    rows: dict[str, list[str]] = {}
    for number, world in enumerate(WORLDS.values()):
        for name, held in _guarantee(world, runs, np.random.default_rng((seed, number))).items():
            rows.setdefault(name, []).append(said(held))
    yield from ((name, *cells) for name, cells in rows.items())


def _guarantee(world: World, runs: int, rng: np.random.Generator, days: int = 180) -> dict[str, Bools]:
    by_weight, by_count = HorvitzThompson(runs), Unweighted(runs, TERMS)

    def watch(held: Deployments, came: Day) -> None:
        by_weight(held, came)
        by_count(held, came)

    played = Deployments(world, TERMS, runs, rng).play(days, watch)
    needed = np.array([betting.needed(TERMS.alpha, TERMS.delta, errors) for errors in range(ERRORS)])
    bounds = naive.one_look_bounds(TERMS.alpha, TERMS.delta, ERRORS)
    return {
        "**the ladder**": played.unsafe >= 0,
        "the ladder, unsafe threshold at the floor": played.unsafe_floor >= 0,
        "its bets in sequence, every case labelled": unsafe(in_sequence(ever_passed(world, runs, days, rng, needed)), world),
        "daily Horvitz-Thompson estimate and normal 95 % limit, labels of the ladder": unsafe(by_weight.passed, world),
        "daily Clopper-Pearson 95 %, every case labelled": unsafe(ever_passed(world, runs, days, rng, bounds), world),
        "daily Clopper-Pearson 95 %, labels of the ladder unweighted": unsafe(by_count.passed, world),
        **one_look(world, 10 * runs, rng),
        "one look, SGR with exact bounds": selective(world, runs, rng),
    }


def worse(runs: int, seed: int) -> Iterator[Sequence[str]]:
    """Ten times the runs for one look."""
    yield "production errs 1.5 times as often as what was validated", "unsafe threshold"
    production = World(curve(1.5))
    for name, held in one_look(World(), 10 * runs, np.random.default_rng((seed, 0)), production).items():
        yield name, said(held)
    yield "**the ladder**", said(Deployments(production, TERMS, runs, np.random.default_rng((seed, 1))).play(180).unsafe >= 0)


def course(runs: int, seed: int) -> Iterator[Sequence[str]]:
    yield "", *WORLDS
    played = [
        Deployments(world, TERMS, runs, np.random.default_rng((seed, at))).play(180) for at, world in enumerate(WORLDS.values())
    ]
    figures: dict[str, Callable[[Deployments], str]] = {
        "first case acts alone, day (median, p90)": lambda held: _days(held.first),
        "floor, day (median, p90)": lambda held: _days(held.floor),
        "reach the floor": lambda held: percent((held.floor >= 0).mean(), 0),
        "coverage after 180 days (mean)": lambda held: percent(held.coverage.mean(), 1),
        "largest safe coverage": lambda held: percent(COVERAGES[risks(held.world.rates) <= TERMS.alpha][-1], 0),
        "error of what acted alone, after spot checks": lambda held: percent(held.alone_wrong.sum() / held.alone.sum(), 2),
        "cases that people looked at": lambda held: percent(held.labels.mean() / (180 * held.world.per_day), 0),
        "spot checks (mean)": lambda held: f"{held.audits.mean():,.0f}",
    }
    yield from ((name, *(figure(held) for held in played)) for name, figure in figures.items())


def _days(held: Counts) -> str:
    reached = held[held >= 0] + 1
    return f"{np.median(reached):.0f}, {np.quantile(reached, 0.9):.0f}" if len(reached) else "never"


def climb(runs: int, seed: int) -> Iterator[Sequence[str]]:
    """Nominal, every fifteen days."""
    yield "after day", "coverage (mean)", "at assist", "audited", "floor", "looked at"
    held, before = Deployments(World(), TERMS, runs, np.random.default_rng(seed)), 0.0
    for day in range(15, 181, 15):
        held.play(15)
        looked, before = held.labels.mean() - before, held.labels.mean()
        rungs = (percent((held.level == rung).mean(), 0) for rung in range(3))
        yield str(day), percent(held.coverage.mean(), 1), *rungs, percent(looked / (15 * held.world.per_day), 0)


def eyes(runs: int, seed: int) -> Iterator[Sequence[str]]:
    yield (
        "people confirm",
        "taken to confirm at most",
        "unsafe threshold",
        "at the floor",
        "acts at all",
        "coverage after 365 days",
    )
    cases = [
        (0.4, "nothing (`most_missed: 0`)", Terms()),
        (0.4, "half, not proven", Terms(assumed=0.5)),
        (0.4, "half, proven by gold (`most_missed: 0.5`)", Terms(most=0.5)),
        (0.4, "a quarter, proven by gold (the default)", Terms(most=0.25)),
        (0.1, "a quarter, proven by gold (the default)", Terms(most=0.25)),
        (0.1, "nothing (`most_missed: 0`)", Terms()),
    ]
    for number, (missed, name, terms) in enumerate(cases):
        held = Deployments(World(missed=missed), terms, runs, np.random.default_rng((seed, number))).play(365)
        acts, floor = held.first >= 0, held.unsafe_floor >= 0
        yield (
            percent(missed, 0),
            name,
            said(held.unsafe >= 0),
            said(floor),
            percent(acts.mean(), 1),
            percent(held.coverage.mean(), 0),
        )


SHIFTS = {
    "10 % errors among the surest 20 %": cluster(curve()),
    "errors x 4 among the surest 55 %": times(curve(), 4, 0.55),
}


def shift(runs: int, seed: int) -> Iterator[Sequence[str]]:
    yield (
        "from day 120 on",
        "acting alone then",
        "alarm within 120 days",
        "days to it (median, p90)",
        "wrong decisions until it (mean)",
        "unsafe again, evidence anew",
        "unsafe again, certificates kept",
    )
    for number, (name, later) in enumerate(SHIFTS.items()):
        held, kept = (shifted(later, replace(TERMS, anew=anew), runs, (seed, number)) for anew in (True, False))
        alarmed = held.acting_at_change & (held.alarmed >= 0)
        yield (
            name,
            percent(held.acting_at_change.mean(), 0),
            percent(alarmed.sum() / held.acting_at_change.sum(), 1),
            _days(_wait(held)),
            f"{held.since_change[alarmed].mean():.0f}",
            percent(held.again[alarmed].mean(), 1),
            percent(kept.again[kept.alarmed >= 0].mean(), 1),
        )


def shifted(later: NDArray[np.float64], terms: Terms, runs: int, seed: tuple[int, int]) -> Deployments:
    """240 days, with other errors from day 120 on."""
    return Deployments(World(later=later, day=120), terms, runs, np.random.default_rng(seed)).play(240)


def _wait(held: Deployments) -> Counts:
    """Days until the alarm, of those that acted alone; -1: none."""
    return np.where(held.acting_at_change & (held.alarmed >= 0), held.alarmed - 120, -1)


def false_alarms(runs: int, seed: int) -> Iterator[Sequence[str]]:
    yield "line", "false alarms in two years (mean per deployment)", "days to an alarm, cluster", "days to an alarm, errors x 4"
    for number, alarm in enumerate((ladder.ALARM, 5 * ladder.ALARM)):
        terms = Terms(alarm=alarm)
        quiet = Deployments(World(), terms, runs, np.random.default_rng((seed, number))).play(730)
        waits = [_days(_wait(shifted(later, terms, runs, (seed, at)))) for at, later in enumerate(SHIFTS.values())]
        yield f"{alarm:.0f}", f"{quiet.alarms.mean():.3f}", *waits


def hidden(runs: int, seed: int) -> Iterator[Sequence[str]]:
    yield "nine labels err in 0.4 %, one (5 % of the cases) in 6 %", "the bad label", "good labels, of nine"
    audited, looked = Labels(runs, np.random.default_rng((seed, 0))), Labels(runs, np.random.default_rng((seed, 1)), p=1.0)
    audited.play(90)
    rows = {
        "one ledger for all at 1 %, 90 days of a quarter looked at: acts alone": audited.together,
        "e-Holm over labels at 2 %, 90 days: acts alone": audited.by_holm(),
        "a ledger for each label at 1 %, 90 days: acts alone": audited.alone,
        "is taken out as unsafe, 90 days": audited.harmed,
    }
    rows = {name: held >= 0 for name, held in rows.items()}
    audited.play(275)
    rows["a ledger for each label at 1 %, a year: acts alone"] = audited.alone >= 0
    looked.play(90)
    certified = np.where(looked.together < 0, looked.day, looked.together)
    rows["all looked at, as on the rung assist: taken out by the day of the certificate"] = (looked.harmed >= 0) & (
        looked.harmed <= certified
    )
    for name, held in rows.items():
        yield name, said(held[:, -1]), f"{held[:, :-1].sum(1).mean():.2f}"


class Labels:
    """400 cases a day of ten labels, the last one bad, each looked at with the chance `p`. By run and label the day on which
    one ledger for all, one of its own, or harm reached the line; -1: none did."""

    volumes = np.array([0.95 / 9] * 9 + [0.05])
    rates = np.array([0.004] * 9 + [0.06])

    def __init__(self, runs: int, rng: np.random.Generator, p: float = ladder.AUDITED_RATE) -> None:
        self.rng, self.p, self.day = rng, p, -1
        self.n, self.found = np.zeros((2, runs, 10), int)
        self.together, self.alone, self.harmed = np.full((3, runs, 10), -1)
        self.best = np.zeros((runs, 10))

    def play(self, days: int) -> None:
        line = -math.log(TERMS.delta)
        for _ in range(days):
            self.day += 1
            came = self.rng.multinomial(400, self.volumes, size=len(self.n))
            self.n, self.found = self.n + came, self.found + self.rng.binomial(came, self.rates * self.p)
            whole = _log_e(self.n.sum(1), self.found.sum(1), self.p, TERMS.alpha)[:, None]
            self.best = np.maximum(self.best, _log_e(self.n, self.found, self.p, 2 * TERMS.alpha))
            harm = _log_e(self.n, self.found, self.p, audits.HARM_TIMES * TERMS.alpha, betting.bets_above)
            for held, log_e, least in (
                (self.together, np.repeat(whole, 10, axis=1), line),
                (self.alone, _log_e(self.n, self.found, self.p, TERMS.alpha), line + math.log(10)),
                (self.harmed, harm, math.log(audits.HARM)),
            ):
                held[(held < 0) & (log_e >= least)] = self.day

    def by_holm(self) -> Counts:
        held = [betting.e_holm(list(row), TERMS.delta) for row in self.best]
        return np.array([[self.day if at in each else -1 for at in range(10)] for each in held])


def _log_e(
    n: Counts, found: Counts, p: float, alpha: float, factors: Callable[..., NDArray[np.float64]] = betting.bets
) -> NDArray[np.float64]:
    right, wrong = (factors(alpha, np.array([p]), np.array([z]))[0] for z in (0.0, 1 / p))
    return betting.mixed((n - found)[..., None] * right + found[..., None] * wrong)


def alone(runs: int, seed: int) -> Iterator[Sequence[str]]:
    """Twice the runs and 1.5 million cases each."""
    yield "an error of just the target", "refuted"
    rng = np.random.default_rng(seed)
    yield "the bets, two strata, 1.5 million cases, daily looks", percent(at_alpha(2 * runs, 3_750, rng), 2)
    yield "Clopper-Pearson 95 %, 9,000 spot checks, a look at each", percent(peeking(2 * runs, rng), 2)


TABLES = {each.__name__: each for each in (guarantee, alone, worse, course, climb, eyes, shift, false_alarms, hidden)}


def table(rows: Iterator[Sequence[str]]) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], help="all, if none is named")
    parser.add_argument("--runs", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    for name in given.tables or TABLES:
        print(f"\n{name} ({given.runs} runs, seed {given.seed})\n")
        print(table(TABLES[name](given.runs, given.seed)), flush=True)


if __name__ == "__main__":
    main()
