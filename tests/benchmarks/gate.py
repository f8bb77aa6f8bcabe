"""Does the gate keep out what is worse, and let in what is better: seeded tries on real data, judged as the product judges.

    python -m tests.benchmarks.gate [--tries N] [--error E] [--out FILE]

The model that acts learned from 1,000 rows of `adult` of ../shared/data. Challengers learned from shuffled labels; from eight
times as many rows, none of them of one large group, or of a small one, so that they are better on others; by heart; from as many
other rows (equal); from more rows (better). Each of ten fits meets its share of the tries: arrivals drawn anew, of which what is
sure enough acts alone with one in four drawn as a spot check, and one in ten of those on which the two differ; people see the
rest. The gate looks after 500, 1,000, 2,000, 4,000 and 8,000 arrivals, and a challenger that passes once has passed. What is
worse is measured on all rows that no model learned from.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from retrain import gate
from retrain.ledger import UNKNOWN, Ledger
from tests.conftest import SHARED

Ints = NDArray[np.int64]
Fit = Callable[["Data", np.random.Generator], Any]
LEARN, MANY, POOL = 1_000, 8_000, 9_000
LOOKS = (500, 1_000, 2_000, 4_000, 8_000)
SURE, SPOT_CHECKS, DISAGREEMENTS = 0.9, 0.25, 0.1
FITS, DELTA = 10, 0.05
MISSING = {"marital_status": ("Married-civ-spouse",), "education": ("Masters", "Prof-school", "Doctorate")}
"""The groups whose rows challengers never saw."""
GROUPS = ("marital_status", "education", "sex")


@dataclass(frozen=True)
class Data:
    """(n, d) features, (n,) labels, and the groups; the first POOL rows are to learn from, the others arrive."""

    x: NDArray[np.float64]
    y: Ints
    groups: dict[str, NDArray[np.object_]]


@lru_cache(maxsize=1)
def data() -> Data:
    frame = pd.read_parquet(SHARED / "adult" / "data.parquet").drop(columns=["row_id", "fnlwgt"])
    frame = frame.sample(frac=1, random_state=0).reset_index(drop=True)
    frame.columns = [name.replace("-", "_") for name in frame.columns]
    table = frame.drop(columns=["income", "official_split"], errors="ignore")
    words = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    shaped = make_column_transformer(
        (OneHotEncoder(min_frequency=20, sparse_output=False, handle_unknown="ignore"), words),
        (StandardScaler(), [name for name in table if name not in words]),
    )
    x = shaped.fit(table[:POOL]).transform(table)
    y = (frame["income"].astype(str) == frame["income"].astype(str).max()).astype(np.int64).to_numpy()
    return Data(x, y, {name: frame[name].astype(object).to_numpy() for name in GROUPS})


def linear(held: Data, rows: Ints, y: Ints | None = None) -> Any:
    return make_pipeline(LogisticRegression(C=0.1, max_iter=300)).fit(held.x[rows], held.y[rows] if y is None else y)


def trees(held: Data, rows: Ints) -> Any:
    return HistGradientBoostingClassifier(max_iter=120, learning_rate=0.08, max_leaf_nodes=15, random_state=0).fit(
        held.x[rows], held.y[rows]
    )


def some(rng: np.random.Generator, count: int) -> Ints:
    return rng.permutation(POOL)[:count]


def shuffled(held: Data, rng: np.random.Generator) -> Any:
    rows = some(rng, LEARN)
    return linear(held, rows, rng.permutation(held.y[rows]))


def without_a_large_group(held: Data, rng: np.random.Generator) -> Any:
    return _without(held, rng, "marital_status")


def without_a_small_group(held: Data, rng: np.random.Generator) -> Any:
    return _without(held, rng, "education")


def _without(held: Data, rng: np.random.Generator, name: str) -> Any:
    rows = some(rng, MANY)
    return trees(held, rows[~np.isin(held.groups[name][rows].astype(str), MISSING[name])])


def by_heart(held: Data, rng: np.random.Generator) -> Any:
    rows = some(rng, LEARN)
    return DecisionTreeClassifier(random_state=0).fit(held.x[rows], held.y[rows])


def equal(held: Data, rng: np.random.Generator) -> Any:
    return linear(held, some(rng, LEARN))


def better(held: Data, rng: np.random.Generator) -> Any:
    return trees(held, some(rng, MANY))


KINDS: dict[str, Fit] = {
    each.__name__: each for each in (shuffled, without_a_large_group, without_a_small_group, by_heart, equal, better)
}


def acting(held: Data) -> Any:
    """The model that acts: linear, from the first rows."""
    return linear(held, np.arange(LEARN))


def ledger(held: Data, old: NDArray[np.float64], new: Ints, rows: Ints, rng: np.random.Generator) -> Ledger:
    """Arrivals as the product keeps them. `old`: (n, labels) probabilities of the model that acts; `new`: (n,) what the other
    says."""
    said, other, truth = old[rows].argmax(axis=1), new[rows], held.y[rows]
    alone, differ = old[rows].max(axis=1) >= SURE, said != other
    apart = 1 - (1 - SPOT_CHECKS) * (1 - DISAGREEMENTS)
    p = np.where(alone, np.where(differ, apart, SPOT_CHECKS), 1.0)
    looked, n = rng.random(len(rows)) < p, len(rows)
    return Ledger(
        labels=("no more", "more"),
        aside=np.zeros(n, dtype=np.bool_),
        p=p,
        least=np.full(n, SPOT_CHECKS),
        least_apart=np.full(n, apart),
        looked=looked,
        known=looked.copy(),
        late=np.zeros(n, dtype=np.bool_),
        truth=np.where(looked, truth, UNKNOWN),
        old=said,
        new=other,
        groups={name: values[rows] for name, values in held.groups.items()},
        watermark=n,
    )


def harm(held: Data, old: Ints, new: Ints) -> dict[str, float]:
    """By how much more the new model is wrong than the old one, on all rows that arrive: overall, by group and by label."""
    d = (new != held.y).astype(float) - (old != held.y)
    late = np.arange(len(d)) >= POOL
    found = {"overall": float(d[late].mean())}
    for name, values in held.groups.items():
        for value in np.unique(values.astype(str)):
            mine = late & (values.astype(str) == value)
            if mine.sum() >= 100:
                found[f"{name} {value}"] = float(d[mine].mean())
    return found | {f"label {n}": float(d[late & (held.y == n)].mean()) for n in (0, 1)}


def play(kind: str, tries: int, error: float, looks: Sequence[int] = LOOKS, fits: int = FITS) -> dict[str, Any]:
    """How often a kind of challenger passed by each look, and whether it is worse in truth."""
    held, passed, known, worse, harms = data(), dict.fromkeys(looks, 0), dict.fromkeys(looks, 0.0), 0, []
    old = acting(held).predict_proba(held.x)
    for fit in range(fits):
        new = np.asarray(KINDS[kind](held, np.random.default_rng(fit)).predict(held.x), dtype=np.int64)
        harms.append(harm(held, old.argmax(axis=1), new))
        bad = harms[-1]["overall"] >= error / gate.OVERALL or max(harms[-1].values()) >= error
        for number in range(tries // fits):
            rng = np.random.default_rng([fit, number])
            arrived, done = rng.integers(POOL, len(held.y), looks[-1]), False
            whole = ledger(held, old, new, arrived, rng)
            for n in looks:
                found = gate.judge(_until(whole, n), error, DELTA)
                done = done or found["passed"]
                passed[n] += int(done)
                known[n] += found["labels"] / tries
            worse += int(bad)
    worst = {name: float(np.mean([each[name] for each in harms])) for name in harms[0]}
    return {"kind": kind, "tries": tries, "error": error, "worse": worse, "passed": passed, "labels": known, "harm": worst}


def _until(whole: Ledger, n: int) -> Ledger:
    parts = {name: getattr(whole, name) for name in Ledger.__slots__}
    cut = {name: value[:n] if isinstance(value, np.ndarray) else value for name, value in parts.items()}
    return Ledger(**{**cut, "groups": {name: values[:n] for name, values in whole.groups.items()}})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--error", type=float, default=0.05)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--out", type=Path)
    wish = parser.parse_args()
    for kind in wish.kinds:
        found = play(kind, wish.tries, wish.error)
        worst = max(found["harm"], key=lambda name: float(found["harm"][name]))
        print(f"{kind}: {found['worse']} of {wish.tries} worse in truth (most: {worst} {found['harm'][worst]:+.3f}, overall "
              f"{found['harm']['overall']:+.3f}); passed by arrivals {found['passed']}, labels "
              f"{ {n: round(each) for n, each in found['labels'].items()} }", flush=True)  # fmt: skip
        if wish.out:
            with wish.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
