"""Are the reasons any good? Deletion beside a random order, stability over seeds, gap and fit, on real data.

    python -m tests.benchmarks.faithfulness [DATASET ...] [--items N] [--kinds]

A model learns from up to 4,000 rows; held-out items are explained for the predicted label, by what is chosen for the model and
with --kinds by every other method that suits it. Deletion hides the units that speak most for the label first; the area is how
far the label's probability has fallen on average over that course, and the ratio is the explanation's own area by that of ten
random orders (of the means over items; its 95 % interval by bootstrapping the items). Prints the table of docs/explanations.md.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.predictors import Floats
from contract.reasons import suiting
from contract.records import Explanation, Prediction
from explain import catalog, quality
from explain.errors import ExplainError
from explain.explainer import Explainer, seed_for
from inference import training
from tests.benchmarks.loop import SHARED, Set, adult, banking77, fashion_mnist, project

LEARN = 4_000
RESAMPLES = 4_000


def german_credit() -> Set:
    frame = pd.read_parquet(SHARED / "german_credit" / "data.parquet").drop(columns="row_id")
    features = frame.drop(columns="credit_risk")
    kinds = {name: "number" if pd.api.types.is_numeric_dtype(features[name]) else "category" for name in features}
    rows = features.astype(object).where(features.notna(), None).to_dict("records")
    given = {"type": "tabular", "features": {name: {"type": kind} for name, kind in kinds.items()}}
    return Set(project("german", given, frame["credit_risk"]), rows, frame["credit_risk"].tolist())


def sms_spam() -> Set:
    frame = pd.read_parquet(SHARED / "sms_spam" / "data.parquet")
    text = next(name for name in ("text", "message") if name in frame)
    rows = [{"text": each} for each in frame[text]]
    return Set(project("sms", {"type": "text"}, frame["label"]), rows, frame["label"].tolist())


SETS = {each.__name__: each for each in (german_credit, adult, banking77, sms_spam, fashion_mnist)}
KINDS = {"tabular": ("sklearn-hgb", "sklearn-linear", "torch-mlp"), "text": ("torch-text",), "image": ("torch-cnn",)}


@dataclass(frozen=True)
class Measured:
    """What one method showed on some items. Arrays are (items,); NaN where there was nothing to measure."""

    method: str
    own: Floats
    random: Floats
    stability: Floats
    gap: Floats
    share: Floats
    fit: Floats
    milliseconds: Floats
    doubted: int
    problems: int

    @property
    def ratio(self) -> tuple[float, float, float]:
        """Mean area of the own order by that of random ones, with its 95 % interval."""
        draws = np.random.default_rng(0).integers(len(self.own), size=(RESAMPLES, len(self.own)))
        ratios = self.own[draws].mean(axis=1) / self.random[draws].mean(axis=1)
        return float(self.own.mean() / self.random.mean()), *map(float, np.quantile(ratios, [0.025, 0.975]))


def measured(model: Any, explainer: Explainer, rows: Sequence[dict[str, Any]]) -> Measured:
    """One method on some rows, each for the label that the model predicts."""
    found: list[tuple[Explanation, quality.Check]] = []
    problems = 0
    for n, row in enumerate(rows):
        answer = model.predict([row])[0]
        assert isinstance(answer, Prediction)
        seed = seed_for(f"item-{n}")
        try:
            check = quality.checked(model, model.background, explainer, row, label=answer.label, seed=seed)
        except ExplainError:
            problems += 1
            continue
        found.append((explainer.explain(row, label=answer.label, seed=seed), check))

    def of(name: str) -> Floats:
        return np.array([each.quality.get(name, np.nan) for each, _ in found])

    return Measured(
        explainer.method,
        np.array([check.area for _, check in found]),
        np.array([check.random_area for _, check in found]),
        np.array([check.stability for _, check in found]),
        of("additivity_gap"),
        of("relative_gap"),
        of("local_r2"),
        np.array([1e3 * each.seconds for each, _ in found]),
        sum(each.doubt is not None for each, _ in found),
        problems,
    )


def methods(model: Any, chosen: Sequence[Explainer], kinds: bool) -> Iterator[Explainer]:
    """What the model gets by itself, then the other methods that suit it."""
    yield from chosen
    if not kinds:
        return
    for method in suiting(model.modality):
        if method not in {each.method for each in chosen}:
            try:
                yield catalog.explainer_for(model, model.background, method)
            except ExplainError as error:
                print(f"  {method}: {error}")


def line(name: str, kind: str, chosen: bool, found: Measured) -> str:
    """A row of the table."""
    ratio, low, high = found.ratio
    gap = "–" if np.isnan(found.gap).all() else f"{np.nanmax(found.gap):.0e}"
    if not np.isnan(found.share).all() and np.nanmax(found.share) > 1e-4:
        gap += f" ({100 * np.nanmedian(found.share):.1f} %)"
    fit = "–" if np.isnan(found.fit).all() else f"{np.nanmedian(found.fit):.2f}"
    said = f"{found.method}{' *' if chosen else ''}"
    return (
        f"| {name} | {kind} | {said} | {ratio:.2f} ({low:.2f} to {high:.2f}) | {found.stability.mean():.2f} | {gap} | {fit} "
        f"| {found.doubted} of {len(found.own)} | {np.median(found.milliseconds):.0f} |"
    )


def run(name: str, items: int, kinds: bool) -> None:
    """Fit, explain, measure and print one data set."""
    data = SETS[name]()
    order: NDArray[np.int64] = np.random.default_rng(0).permutation(len(data.rows))
    learn, held = order[: min(LEARN, int(0.7 * len(order)))], order[-items:]
    rows, labels = [data.rows[n] for n in learn], [data.labels[n] for n in learn]
    for kind in KINDS[data.project.input.type]:
        model = training.train(data.project, rows, labels, trainer=kind, device="cpu", seed=0).predictor
        chosen = catalog.explainers_for(model, model.background)
        for explainer in methods(model, chosen, kinds):
            print(line(name, kind, explainer in chosen, measured(model, explainer, [data.rows[n] for n in held])), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--kinds", action="store_true", help="every method that suits, not only those that are chosen")
    given = parser.parse_args()
    print("| data | model | method | deletion ratio (95 %) | top-5 overlap | gap | R² | doubted | ms |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in given.sets:
        run(name, given.items, given.kinds)


if __name__ == "__main__":
    main()
