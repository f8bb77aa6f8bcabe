"""Explaining beside the libraries, and beside a bare forward of the same rows.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.explaining [PART ...]

In turns, ROUNDS times each: the library for one item after the other, ours for one after the other, ours for all together, and
the model alone on the very rows that ours asked about, in the chunks that ours found. Milliseconds of the process's CPU time an
item, on one thread, so that other work counts little; the middle of the rounds, for ratios the middle of each round's.
"""

import argparse
import contextlib
import io
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shap
import torch
from lime.lime_image import LimeImageExplainer
from lime.lime_tabular import LimeTabularExplainer
from lime.lime_text import LimeTextExplainer
from PIL import Image
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import nn

from contract.inside import Last, Smooth
from contract.predictors import Column, Encoded, Floats
from contract.records import Row
from explain.exact_shap import ExactShap
from explain.explainer import Ask, Explainer, seed_for
from explain.gradient_shap import GradientShap
from explain.lime_image import LimeImage
from explain.lime_tabular import LimeTabular
from explain.lime_text import LimeText
from explain.partition_image import PartitionImage
from explain.partition_text import PartitionText
from explain.permutation_shap import PermutationShap
from explain.segments import squares
from inference import gradients

ROUNDS = 5
LABELS = ("no", "yes")
Answer = Callable[[Any], Floats]


class Asked:
    """A model that can keep what it is asked, so that it may be asked the same again, bare."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.keeping, self.kept = False, list[Any]()

    def __call__(self, inputs: Any) -> Floats:
        if self.keeping:
            self.kept.append(inputs)
        return self._answer(inputs)

    def again(self) -> None:
        for inputs in self.kept:
            self._answer(inputs)


@dataclass
class Table:
    columns: tuple[Column, ...]
    asked: Asked
    labels: tuple[str, ...] = LABELS

    def encode(self, rows: Sequence[Row]) -> Encoded:
        return Encoded(np.array([[row[column.name] for column in self.columns] for row in rows]), {})

    def table_probabilities(self, encoded: Encoded) -> Floats:
        return self.asked(encoded.matrix)


@dataclass
class Text:
    asked: Asked
    labels: tuple[str, ...] = LABELS
    feature: str = "text"

    def text_probabilities(self, texts: Sequence[str]) -> Floats:
        return self.asked(texts)


@dataclass
class Picture:
    """Reads images in single precision, as networks do."""

    asked: Asked
    single: bool = True
    labels: tuple[str, ...] = tuple("0123456789")
    feature: str = "image"

    def decode(self, data: bytes) -> Floats:
        return np.asarray(Image.open(io.BytesIO(data)), dtype=np.float64) / 255

    def image_probabilities(self, images: Floats) -> Floats:
        return self.asked(images)


@dataclass(frozen=True)
class Side:
    """What is measured against what; `library` explains one of the items, the first `by_library` of them in each round."""

    name: str
    asked: Asked
    explainer: Explainer
    asks: Sequence[Ask]
    library: Callable[[Ask], object]
    by_library: int = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="PART")
    parts = parser.parse_args().parts
    if os.environ.get("OMP_NUM_THREADS") != "1":
        parser.error("set OMP_NUM_THREADS=1: all are to run on one thread")
    if unknown := set(parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    print("| what | library | ours, one by one | together | times the library | rows an item | bare | times bare | over it |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for part in parts:
        for side in PARTS[part]():
            print(measured(side), flush=True)


def measured(side: Side) -> str:
    """A line of the table."""
    with contextlib.redirect_stderr(io.StringIO()):  # the library draws bars
        side.library(side.asks[0])
        rows = _warm(side)
        rounds = [_round(side) for _ in range(ROUNDS)]
    library, single, together, bare = (statistics.median(each) * 1000 for each in zip(*rounds, strict=True))
    faster = statistics.median(each[0] / each[2] for each in rounds)
    over = statistics.median(each[2] / each[3] for each in rounds)
    return (
        f"| {side.name} | {library:.1f} | {single:.2f} | {together:.2f} | **{faster:.1f}** | {rows:,.0f} "
        f"| {bare:.2f} | {over:.2f} | {together - bare:+.2f} ms |"
    )


def _warm(side: Side) -> float:
    """Chunks are found and draws are made; then what is asked is kept once. Gives the rows of an item."""
    for _ in range(3):
        side.explainer.explain_all(side.asks)
    side.asked.keeping = True
    problems = [found.problem for found in side.explainer.explain_all(side.asks) if found.problem]
    side.asked.keeping = False
    if problems:
        raise SystemExit(problems[0])
    return sum(map(len, side.asked.kept)) / len(side.asks)


def _round(side: Side) -> tuple[float, float, float, float]:
    """Seconds an item: the library, ours one by one, ours together, the model alone."""
    some, explain = side.asks[: side.by_library], side.explainer.explain
    return (
        _spent(lambda: [side.library(ask) for ask in some]) / len(some),
        _spent(lambda: [explain(ask.row, label=ask.label, seed=ask.seed) for ask in side.asks]) / len(side.asks),
        _spent(lambda: side.explainer.explain_all(side.asks)) / len(side.asks),
        _spent(side.asked.again) / len(side.asks),
    )


def _spent(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def table(width: int) -> tuple[Table, Floats]:
    """A network of two layers of 64 on rows of N(0, 1), 2,000 of them."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2_400, width))
    truth = torch.tensor((rows[:, 0] + rows[:, 1] * rows[:, 2] > 0).astype(np.int64))
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(torch.tensor(rows, dtype=torch.float32)), truth).backward()
        optimizer.step()
    return Table(tuple(Column(f"x{place}", "number") for place in range(width)), Asked(probabilities(net.eval()))), rows


def probabilities(net: nn.Module) -> Answer:
    def answer(inputs: Floats) -> Floats:
        with torch.inference_mode():
            return torch.softmax(net(torch.from_numpy(inputs).float()), dim=1).numpy().astype(np.float64)

    return answer


def asks_of(rows: Sequence[Row], label: str = "yes") -> list[Ask]:
    return [Ask(row, label, seed_for(f"item-{place}")) for place, row in enumerate(rows)]


def named(model: Table, rows: Floats) -> list[Row]:
    return [dict(zip([column.name for column in model.columns], row.tolist(), strict=True)) for row in rows]


def lime_tabular() -> Iterator[Side]:
    for width, features, by_library in ((30, 10, 8), (30, 5, 2), (30, 30, 8), (100, 10, 4)):
        model, rows = table(width)
        known, asks = named(model, rows[:2_000]), asks_of(named(model, rows[2_000:2_064]))
        lime = LimeTabularExplainer(rows[:2_000], random_state=0)

        def library(ask: Ask, lime: Any = lime, model: Any = model, features: int = features) -> object:
            lime.random_state = lime.base.random_state = lime.discretizer.random_state = np.random.RandomState(ask.seed)
            return lime.explain_instance(np.array([*ask.row.values()]), model.asked, num_features=features, num_samples=5_000)

        ours = LimeTabular(model, known, features=None if features == width else features)
        yield Side(f"LIME, table of {width}, {features} features", model.asked, ours, asks, library, by_library)


def permutation() -> Iterator[Side]:
    for width, count in ((10, 32), (30, 32), (100, 8)):
        model, rows = table(width)
        ours = PermutationShap(model, named(model, rows[:64]), evaluations=1_000)
        library = by_shap(shap.PermutationExplainer, model, rows[:64], max_evals=max(1_000, 2 * (2 * width + 1)))
        yield Side(
            f"Permutation, table of {width}", model.asked, ours, asks_of(named(model, rows[2_000 : 2_000 + count])), library
        )


def exact() -> Iterator[Side]:
    model, rows = table(9)
    library = by_shap(shap.ExactExplainer, model, rows[:64])
    ours = ExactShap(model, named(model, rows[:64]))
    yield Side("Exact, table of 9", model.asked, ours, asks_of(named(model, rows[2_000:2_016])), library)


def by_shap(kind: Any, model: Table, background: Floats, **more: Any) -> Callable[[Ask], object]:
    """The library over the same background, its compiled code warm."""
    explainer = kind(log_odds(model.asked, 1), shap.maskers.Independent(background, max_samples=len(background)))

    def library(ask: Ask) -> object:
        np.random.seed(ask.seed)
        return explainer(np.array([[*ask.row.values()]]), silent=True, **more)

    return library


def log_odds(asked: Answer, place: int) -> Answer:
    def answer(inputs: Any) -> Floats:
        p = np.clip(asked(inputs)[:, place], 1e-6, 1 - 1e-6)
        return np.asarray(np.log(p) - np.log1p(-p))

    return answer


def texts(count: int, words: int) -> tuple[Text, list[str]]:
    """Word counts and a logistic regression; a thousand words, of which fifty lean to one label."""
    rng = np.random.default_rng(0)
    drawn = [" ".join(f"word{place}" for place in rng.zipf(1.3, words) % 1_000) for _ in range(400 + count)]
    truth = [sum(int(word[4:]) % 20 == 3 for word in text.split()) > words / 20 for text in drawn]
    fitted = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(drawn[:400], truth[:400])
    return Text(Asked(lambda held: fitted.predict_proba(list(held)))), drawn[400:]


def lime_text() -> Iterator[Side]:
    for words in (25, 100):
        model, held = texts(8, words)

        def library(ask: Ask, model: Any = model) -> object:
            lime = LimeTextExplainer(bow=False, mask_string="", feature_selection="none", random_state=ask.seed)
            return lime.explain_instance(ask.row["text"], model.asked, labels=(1,), num_samples=5_000)

        asks = asks_of([{"text": text} for text in held])
        yield Side(f"LIME, text of {words} words", model.asked, LimeText(model), asks, library, 2)


def partition_text() -> Iterator[Side]:
    for words in (25, 100):
        model, held = texts(16, words)
        explainer = shap.PartitionExplainer(log_odds(model.asked, 1), shap.maskers.Text(r"\W+"))

        def library(ask: Ask, explainer: Any = explainer) -> object:
            np.random.seed(ask.seed)
            return explainer([ask.row["text"]], max_evals=500, batch_size=32, silent=True)

        asks = asks_of([{"text": text} for text in held])
        yield Side(f"Partition, text of {words} words", model.asked, PartitionText(model), asks, library)


def pictures(side: int, count: int) -> tuple[Picture, list[Row]]:
    """Convolutions of 16 and 32 on noise of three channels, untrained: the time is the same."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * (side // 4) ** 2, 10),
    )  # fmt: skip
    answer = probabilities(nn.Sequential(Permuted(), net.eval()))
    rng, rows = np.random.default_rng(0), []
    for _ in range(count):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(file, format="PNG")
        rows.append({"image": file.getvalue()})
    return Picture(Asked(answer)), rows


class Permuted(nn.Module):
    """Channels last to channels first."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.permute(0, 3, 1, 2)


def lime_image() -> Iterator[Side]:
    """The library for the label alone, and as it is called without more, for the five most probable ones."""
    for side, count, by_library in ((28, 8, 4), (128, 1, 1)):
        model, rows = pictures(side, count)
        pieces, ours = squares(side, side).numbers, LimeImage(model, samples=1_000)
        for labels in ({"labels": (3,), "top_labels": None}, {"top_labels": 5}):

            def library(ask: Ask, model: Any = model, pieces: Any = pieces, labels: Any = labels) -> object:
                lime = LimeImageExplainer(random_state=ask.seed)
                given = {"hide_color": 0, "num_samples": 1_000, "segmentation_fn": lambda _: pieces, **labels}
                return lime.explain_instance(model.decode(ask.row["image"]), model.asked, **given)

            model.asked.kept.clear()
            name = f"LIME, image of {side}" + ("" if labels["top_labels"] is None else ", the library for five labels")
            yield Side(name, model.asked, ours, asks_of(rows, "3"), library, by_library)


def partition_image() -> Iterator[Side]:
    model, rows = pictures(28, 8)
    masker = shap.maskers.Image(np.zeros((28, 28, 3)), (28, 28, 3))
    explainer = shap.PartitionExplainer(log_odds(model.asked, 3), masker)

    def library(ask: Ask) -> object:
        np.random.seed(ask.seed)
        image = model.decode(ask.row["image"])[None]
        return explainer(image, max_evals=500, batch_size=32, silent=True)

    yield Side("Partition, image of 28", model.asked, PartitionImage(model, evaluations=500), asks_of(rows, "3"), library)


class Sloped(Table):
    """The same network, which shows its slopes; the points that these are asked at are kept, to be asked forward alone."""

    def __init__(self, net: nn.Module, width: int) -> None:
        last = Last(LABELS, (0, 1))
        slopes = gradients.Gradients(net, gradients.of_scores(last), torch.device("cpu"), 4_096)
        super().__init__(tuple(Column(f"x{place}", "number") for place in range(width)), Asked(probabilities(net)))
        self.forward = Asked(lambda points: slopes.answer(points, "yes"))

        def gradient(points: Floats, label: str) -> tuple[Floats, Floats]:
            if self.forward.keeping:
                self.forward.kept.append(points)
            return slopes.gradient(points, label)

        self.inside = Smooth(lambda encoded: encoded.matrix, np.arange(width), slopes.answer, gradient)


def gradient() -> Iterator[Side]:
    """200 samples; the library for both labels, as it is called by default, and for the likelier one alone."""
    for width, ranked in ((30, None), (30, 1), (100, None)):
        rows = np.random.default_rng(0).normal(size=(2_064, width))
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)).eval()
        model = Sloped(net, width)
        explainer = shap.GradientExplainer(net, torch.from_numpy(rows[:100]).float())

        def library(ask: Ask, explainer: Any = explainer, ranked: int | None = ranked) -> object:
            point = torch.tensor([[*ask.row.values()]], dtype=torch.float32)
            return explainer.shap_values(point, nsamples=200, rseed=ask.seed, ranked_outputs=ranked)

        ours = GradientShap(model, named(model, rows[:100]), rows=100, farthest=200)
        labels = "both labels" if ranked is None else "one label"
        asks = asks_of(named(model, rows[2_000:]))
        yield Side(f"Gradients, table of {width}, the library for {labels}", model.forward, ours, asks, library)


PARTS: Mapping[str, Callable[[], Iterator[Side]]] = {
    "lime-tabular": lime_tabular,
    "permutation": permutation,
    "exact": exact,
    "lime-text": lime_text,
    "partition-text": partition_text,
    "lime-image": lime_image,
    "partition-image": partition_image,
    "gradient": gradient,
}

if __name__ == "__main__":
    main()
