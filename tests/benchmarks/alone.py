"""Whether written thresholds keep their promise on real data: `python -m tests.benchmarks.alone [DATASET | simulated ...]`.

Per data set one model learns from a third of the rows; the rest is scored once. Then 200 seeded splits of the rest, each way:
into rows that set the threshold for 5 % error and rows that are fresh; and with the rest as the whole population, from which the
rows that set it are drawn with replacement, so that the true error is known exactly. `simulated` compares ways of choosing.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.project import Project, label_text
from inference import training
from retrain import judging
from retrain.alone import _budgets, _grid, _Rows, alone, p_values, passed
from tests.conftest import SHARED

MAX_ERROR, SPLITS = 0.05, 200
HELD_OUT, MOST = 0.3, 10_000
"""What `start` holds out: a share of the rows, and the most."""


@dataclass(frozen=True)
class Known:
    """A data set: its label, columns that no model may see, the type of its input, and the most rows to learn from."""

    label: str
    drop: tuple[str, ...] = ()
    type: str = "tabular"
    learn: int = 20_000


SETS = {
    "adult": Known("income", ("official_split",)),
    "bank_marketing": Known("subscribed", ("duration",)),
    "credit_default": Known("default_next_month"),
    "german_credit": Known("credit_risk"),
    "banking77": Known("label", ("official_split",), "text"),
    "sms_spam": Known("label", (), "text"),
    "fashion_mnist": Known("label", ("label_name",), "image", 3_000),
}

Truth = tuple[NDArray[np.float64], NDArray[np.bool_]]
"""Confidences of rows, and whether the answers to them are wrong."""


def scored(name: str) -> tuple[Truth, int, float]:
    """What a model that learned from a third of a data set says of the rest; all rows; its accuracy there."""
    known = SETS[name]
    frame = pd.read_parquet(SHARED / name / "data.parquet").drop(columns=["row_id", *known.drop])
    labels = [label_text(value) for value in frame.pop(known.label).tolist()]
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    project = Project.model_validate(
        {
            "project": name,
            "input": {"type": known.type, "features": _features(frame) if known.type == "tabular" else {}},
            "labels": sorted(set(labels)),
            "model": {"uri": f"registry:{name}@champion"},
        }
    )
    order = np.random.default_rng(0).permutation(len(rows)).tolist()
    learn, rest = order[: len(rows) // 3][: known.learn], order[len(rows) // 3 :]
    fit = training.train(project, [rows[n] for n in learn], [labels[n] for n in learn], device="cpu", threads=1)
    found = judging.asked(fit.predictor, [rows[n] for n in rest], [labels[n] for n in rest], "max_probability")
    return (found.confidences, found.wrong), len(rows), float(1 - found.wrong.mean())


def _features(frame: pd.DataFrame) -> dict[str, Any]:
    numeric = {name: pd.api.types.is_numeric_dtype(frame[name]) for name in frame.columns}
    return {name: {"type": "number" if number else "category", "optional": True} for name, number in numeric.items()}


def splits(truth: Truth, size: int) -> Iterator[tuple[float, float, float]]:
    """Share that acts, error of it among fresh rows, and error of it in the population where the rest is the population.

    NaN where nothing may act. The share is that of the first way.
    """
    confidences, wrong = truth
    for seed in range(SPLITS):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(wrong))
        held, fresh = order[:size], order[size:]
        share, error = _outcome(truth, held, (confidences[fresh], wrong[fresh]), seed)
        yield share, error, _outcome(truth, rng.integers(0, len(wrong), size), truth, seed)[1]


def _outcome(truth: Truth, held: NDArray[np.int64], judge: Truth, seed: int) -> tuple[float, float]:
    threshold = alone(truth[0][held], truth[1][held], levels=[MAX_ERROR], seed=seed).threshold(MAX_ERROR)
    acts = np.zeros(len(judge[0]), dtype=bool) if threshold is None else judge[0] >= threshold
    return float(acts.mean()), float(judge[1][acts].mean()) if acts.any() else float("nan")


def measured(name: str) -> dict[str, Any]:
    """One row of the table."""
    truth, rows, accuracy = scored(name)
    size = min(round(HELD_OUT * rows), MOST)
    share, fresh, population = np.array(list(splits(truth, size))).T
    return {
        "data": name,
        "rows that set it": size,
        "accuracy": round(accuracy, 3),
        "off": float(np.isnan(fresh).mean()),
        "acts alone": round(float(share.mean()), 3),
        "best": round(_best(truth), 3),
        "error of fresh rows": _mean(fresh),
        "over, fresh rows": float((fresh > MAX_ERROR).mean()),
        "over, population": float((population > MAX_ERROR).mean()),
    }


def _mean(values: NDArray[np.float64]) -> float | None:
    return None if np.isnan(values).all() else round(float(np.nanmean(values)), 4)


def _best(truth: Truth) -> float:
    """The largest share that a known truth would let act."""
    order = np.argsort(-truth[0], kind="stable")
    shares = np.arange(1, len(order) + 1) / len(order)
    held = np.cumsum(truth[1][order]) / (shares * len(order)) <= MAX_ERROR
    return float(shares[held].max()) if held.any() else 0.0


# Ways of choosing, on made-up models: the error at each rank u of the confidences, 0 the surest

WORLDS: dict[str, Callable[[Any], Any]] = {
    "smooth": lambda u: 0.002 + 0.4 * u**4,
    "hard": lambda u: 0.004 + 0.45 * u**2.2,
    "confident and wrong": lambda u: np.where(u < 0.05, 0.10, 0.002 + 0.3 * u**5),
    "brink": lambda u: np.select([u < 0.5, u < 0.6], [0.015, 0.226], 0.05),
    "just over": lambda u: np.full_like(u, 0.0501),
}
DELTA = 0.05


def rules(plan: _Rows, test: _Rows, grid: NDArray[np.float64]) -> dict[str, int | None]:
    """The place in the grid that each way of choosing ends at."""
    n, errors = test.above(grid)
    p = p_values(errors, n, MAX_ERROR)
    planned, mistakes = plan.above(grid)
    enough = planned * 4 >= np.log(DELTA) / np.log(1 - MAX_ERROR)
    top = int(np.argmax(enough))
    calm = np.flatnonzero((mistakes / planned <= MAX_ERROR / 2) & enough)
    half = np.zeros(len(grid))
    half[top] += 0.2 * DELTA
    half[calm[-1] if len(calm) else top] += 0.8 * DELTA
    few = np.flatnonzero(p <= DELTA / len(grid))
    return {
        "this": passed(p, _budgets(plan, test, grid, MAX_ERROR, DELTA)),
        "half the error": passed(p, half),
        "top down": passed(p, np.eye(len(grid))[top] * DELTA),
        "Bonferroni": int(few[-1]) if len(few) else None,
        "bottom up": len(grid) - 1 if p[-1] <= DELTA else None,
    }


def simulated(world: str, size: int, draws: int = 400) -> dict[str, Any]:
    """Per way of choosing, the mean share that acts over the best one, and how often the true error is over the limit."""
    error, rng = WORLDS[world], np.random.default_rng(1)
    ranks = (np.arange(200_000) + 0.5) / 200_000
    truth = np.cumsum(error(ranks)) / np.arange(1, len(ranks) + 1)
    best = float(ranks[truth <= MAX_ERROR].max(initial=0.0))
    shares: dict[str, list[float]] = {}
    for _ in range(draws):
        u = rng.random(size)
        wrong = rng.random(size) < error(u)
        cut = size // 5
        grid = _grid(1 - u[:cut])
        for name, place in rules(_Rows.of(1 - u[:cut], wrong[:cut]), _Rows.of(1 - u[cut:], wrong[cut:]), grid).items():
            shares.setdefault(name, []).append(0.0 if place is None else float(1 - grid[place]))
    found: dict[str, Any] = {"world": world, "rows": size, "best": round(best, 3)}
    for name, each in shares.items():
        over = np.mean(np.interp(each, ranks, truth, left=0.0) > MAX_ERROR)
        found[name] = f"{np.mean(each) / best if best else np.mean(each):.2f} ({over:.3f})"
    return found


def main(wanted: Sequence[str]) -> None:
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    for name in wanted or SETS:
        began = time.perf_counter()
        made = (simulated(world, n) for world in WORLDS for n in (400, 1000, 8000)) if name == "simulated" else [measured(name)]
        for row in made:
            print(json.dumps(row), f"{time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
