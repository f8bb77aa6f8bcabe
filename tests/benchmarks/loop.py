"""Does deciding unsure cases teach a model more than labelling as many at random?

    python -m tests.benchmarks.loop [adult] [banking77] [fashion_mnist] [--seeds N]

A first model learns from 1,000 rows; the true labels are the operator. What arrives is scored, and cases are decided as the
product would have them decided: the least sure first, one in twenty drawn from the rest as a spot check. After 500, 1,000 and
2,000 decisions the model is trained anew on all labels and scores what is left. Beside it, as many labels drawn at random.
"""

import argparse
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contract.policy import Costs
from contract.project import Project
from contract.records import Prediction
from inference import training
from review_queue.routing import expected_loss

SHARED = Path(__file__).parents[3] / "shared" / "data"
FIRST, HELD = 1_000, 0.3
STOPS = (500, 1_000, 2_000)
SPOT_CHECKS = 0.05
MOST_HELD = 4_000


@dataclass(frozen=True)
class Set:
    """A data set as a project with rows and labels."""

    project: Project
    rows: Sequence[dict[str, Any]]
    labels: Sequence[str]


def adult() -> Set:
    frame = pd.read_parquet(SHARED / "adult" / "data.parquet").drop(columns=["row_id", "fnlwgt"])
    features = frame.drop(columns="income")
    kinds = {name: "number" if pd.api.types.is_numeric_dtype(features[name]) else "category" for name in features}
    held = features.astype(object).where(features.notna(), None).to_dict("records")
    return Set(project("adult", {"type": "tabular", "features": {n: {"type": k} for n, k in kinds.items()}},
                        frame["income"]), held, frame["income"].tolist())  # fmt: skip


def banking77() -> Set:
    frame = pd.read_parquet(SHARED / "banking77" / "data.parquet")
    return Set(project("banking", {"type": "text"}, frame["label"]), frame[["text"]].to_dict("records"), frame["label"].tolist())


def fashion_mnist() -> Set:
    frame = pd.read_parquet(SHARED / "fashion_mnist" / "data.parquet")
    rows = [{"image": bytes(data)} for data in frame["image"]]
    return Set(project("fashion", {"type": "image"}, frame["label_name"]), rows, frame["label_name"].tolist())


def project(name: str, given: dict[str, Any], labels: Any) -> Project:
    names = sorted(map(str, labels.unique()))
    return Project.model_validate(
        {"project": name, "input": given, "labels": names, "model": {"uri": f"registry:{name}@champion"}}
    )


SETS: dict[str, Callable[[], Set]] = {"adult": adult, "banking77": banking77, "fashion_mnist": fashion_mnist}


def run(data: Set, seed: int) -> dict[str, list[float]]:
    """Held-out accuracy after 0, 500, 1,000 and 2,000 labels, chosen by the queue and at random."""
    order = np.random.default_rng(seed).permutation(len(data.rows))
    held, rest = np.split(order, [min(MOST_HELD, int(HELD * len(order)))])
    first, pool = rest[:FIRST].tolist(), rest[FIRST:].tolist()
    start = _fit(data, first, seed)
    begin = _accuracy(start, data, held)
    queued, at_random = [begin], [begin]
    model, chosen, left = start, list[int](), list(pool)
    drawn = np.random.default_rng(seed + 1).permutation(pool).tolist()
    for stop in STOPS:
        chosen += _decided(model, data, left, stop - len(chosen), seed + stop)
        left = sorted(set(pool) - set(chosen))
        model = _fit(data, first + chosen, seed)
        queued.append(_accuracy(model, data, held))
        at_random.append(_accuracy(_fit(data, first + drawn[:stop], seed), data, held))
    return {"queue": queued, "random": at_random}


def _decided(model: Any, data: Set, left: list[int], count: int, seed: int) -> list[int]:
    """The next cases on the desk: the least sure first, with spot checks among them."""
    costs = Costs()
    answers = model.predict([data.rows[n] for n in left])
    loss = [expected_loss(a, costs) if isinstance(a, Prediction) else 1.0 for a in answers]
    checks = round(SPOT_CHECKS * count)
    unsure = [left[n] for n in np.argsort(np.negative(loss), kind="stable")]
    picked, others = unsure[: count - checks], unsure[count - checks :]
    return picked + np.random.default_rng(seed).choice(others, checks, replace=False).tolist()


def _fit(data: Set, chosen: list[int], seed: int) -> Any:
    rows, labels = [data.rows[n] for n in chosen], [data.labels[n] for n in chosen]
    return training.train(data.project, rows, labels, device="cpu", seed=seed).predictor


def _accuracy(model: Any, data: Set, held: Any) -> float:
    answers = model.predict([data.rows[n] for n in held])
    return float(np.mean([isinstance(a, Prediction) and a.label == data.labels[n] for a, n in zip(answers, held, strict=True)]))


def table(name: str, runs: Sequence[dict[str, list[float]]]) -> str:
    """Means over the seeds, and the difference with its 95 % t-interval."""
    from scipy.stats import t

    queue, chance = (np.array([each[arm] for each in runs]) for arm in ("queue", "random"))
    out = io.StringIO()
    for place, stop in enumerate((0, *STOPS)):
        gap = queue[:, place] - chance[:, place]
        half = t.ppf(0.975, len(gap) - 1) * gap.std(ddof=1) / np.sqrt(len(gap)) if len(gap) > 1 and place else 0.0
        means = f"{100 * queue[:, place].mean():.1f} % | {100 * chance[:, place].mean():.1f} %"
        print(f"| {name} | {stop:,} | {means} | {100 * gap.mean():+.1f} ({100 * (gap.mean() - half):+.1f} to "
              f"{100 * (gap.mean() + half):+.1f}) |", file=out)  # fmt: skip
    return out.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--seeds", type=int, default=5)
    wanted = parser.parse_args()
    print("| data | decisions | decided at the desk | drawn at random | difference in points |\n| --- | --- | --- | --- | --- |")
    for name in wanted.sets:
        data = SETS[name]()
        print(table(name, [run(data, seed) for seed in range(wanted.seeds)]), end="", flush=True)


if __name__ == "__main__":
    main()
