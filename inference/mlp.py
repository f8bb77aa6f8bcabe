"""torch-mlp: a small network over tables.

Numbers enter as piecewise-linear codes over their quantiles (Gorishniy et al. 2022, "On Embeddings for Numerical Features",
section 3.2) beside their scaled value, categories as embeddings, texts as embedded bags of hashed words; a missing value has
a code of its own everywhere.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from contract.inside import LAST_LAYER, Hidden, Last, Places, Smooth
from contract.predictors import Column, Encoded, Floats
from inference import gradients, ngrams, tables, warm, weights
from inference.course import Course
from inference.devices import Inputs, forward
from inference.fitting import Plan, fit, seeded
from inference.splits import Progress, Task
from inference.warm import Former

BINS = 12
EMBEDDED = 8
TEXT_BUCKETS = 1 << 14
TEXT_WIDTH = 24
HIDDEN = (128, 64)
CHUNK = 4096
UNSEEN_SHARE = 0.02
"""Share of category values hidden while learning, so that a category never seen has a meaning."""


class Network(nn.Module):
    """(n, a) scaled numbers with NaN, (n, b) codes, and a bag of words per text column, to (n, m) scores."""

    low: Tensor
    width: Tensor
    offsets: Tensor

    def __init__(self, numbers: int, sizes: Sequence[int], texts: int, labels: int) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(numbers, BINS))
        self.register_buffer("width", torch.ones(numbers, BINS))
        self.register_buffer("center", torch.zeros(numbers, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(numbers, dtype=torch.float64))
        offsets = torch.tensor([0, *np.cumsum(sizes)[:-1]] if sizes else [], dtype=torch.int64)
        self.register_buffer("offsets", offsets, persistent=False)
        self.embedding = nn.Embedding(max(1, sum(sizes)), EMBEDDED)
        self.words = nn.ModuleList(nn.EmbeddingBag(TEXT_BUCKETS, TEXT_WIDTH, mode="sum") for _ in range(texts))
        inputs = numbers * (BINS + 2) + len(sizes) * EMBEDDED + texts * (TEXT_WIDTH + 1)
        self.layers = nn.Sequential(
            nn.Linear(inputs, HIDDEN[0]), nn.ReLU(), nn.Dropout(0.15),
            nn.Linear(HIDDEN[0], HIDDEN[1]), nn.ReLU(), nn.Dropout(0.15),
            nn.Linear(HIDDEN[1], labels),
        )  # fmt: skip

    def forward(self, numbers: Tensor, codes: Tensor, *bags: Tensor) -> Tensor:
        return self.layers(self.design(numbers, codes, *bags))  # type: ignore[no-any-return]

    def hidden(self, numbers: Tensor, codes: Tensor, *bags: Tensor) -> Tensor:
        """(n, h) values of the last layer before the scores."""
        return self.layers[:-1](self.design(numbers, codes, *bags))  # type: ignore[no-any-return]

    def design(self, numbers: Tensor, codes: Tensor, *bags: Tensor) -> Tensor:
        """(n, e) inputs of the first layer: steps, values and flags of numbers, embeddings of codes, bags and flags of texts."""
        missing = torch.isnan(numbers)
        held = torch.where(missing, 0.0, numbers)
        steps = ((held[:, :, None] - self.low) / self.width).clamp(0, 1) * ~missing[:, :, None]
        parts = [steps.flatten(1), held.clamp(-5, 5), missing.float()]
        parts.append(self.embedding(codes + self.offsets).flatten(1))
        for place, layer in enumerate(self.words):
            buckets, starts, shares, absent = bags[4 * place : 4 * place + 4]
            parts += [layer(buckets, starts, per_sample_weights=shares), absent]
        return torch.cat(parts, dim=1)


class Engine:
    """The trained network with its columns."""

    def __init__(self, columns: tuple[Column, ...], network: Network) -> None:
        self.columns = columns
        self.network = network

    def scores(self, encoded: Encoded) -> Floats:
        """Encoded rows to (n, m) scores."""
        inputs = _Inputs(self.columns, encoded, self.network)
        width = self.network.layers[-1].out_features
        return forward(self.network, inputs.chunk, len(encoded.matrix), int(width), CHUNK)  # type: ignore[arg-type]

    def inside(self, last: Last) -> Smooth:
        """Gradients over the inputs of the first layer."""
        device = self.network.low.device
        slopes = gradients.Gradients(self.network.layers, gradients.of_scores(last), device, CHUNK)
        return Smooth(
            lambda encoded: self._before(self.network.design, encoded),
            owners(self.columns),
            slopes.answer,
            slopes.gradient,
            gradients.deep(self.network.layers, last),
        )

    @property
    def hidden(self) -> Hidden:
        return Hidden(LAST_LAYER, lambda encoded: self._before(self.network.hidden, encoded))

    def _before(self, work: Callable[..., Tensor], encoded: Encoded) -> Floats:
        inputs = _Inputs(self.columns, encoded, self.network)
        return gradients.designed(work, inputs.chunk, len(encoded.matrix), CHUNK)

    def settings(self) -> dict[str, Any]:
        return {"known": self.network.layers[-1].out_features}

    def files(self) -> dict[str, bytes]:
        return {weights.FILE: weights.dump(self.network)}


class _Inputs:
    """An encoded table as tensors, sliced or picked by row."""

    def __init__(self, columns: tuple[Column, ...], encoded: Encoded, network: Network) -> None:
        parts = tables.parts(columns, encoded.matrix)
        center, scale = (network.get_buffer(name).cpu().numpy() for name in ("center", "scale"))
        scaled = np.clip((parts.numbers - center) / scale, -1e6, 1e6)
        self.numbers = torch.from_numpy(scaled.astype(np.float32))
        self.codes = torch.from_numpy(parts.codes)
        places = [place for place, column in enumerate(columns) if column.kind == "text"]
        self.texts = [_Texts(encoded.matrix[:, place], encoded.texts[place]) for place in places]

    def chunk(self, start: int, stop: int, device: torch.device) -> Inputs:
        texts = [tensor.to(device) for each in self.texts for tensor in each.of(np.arange(start, stop))]
        return (self.numbers[start:stop].to(device), self.codes[start:stop].to(device), *texts)

    def rows(self, rows: Any, device: torch.device) -> Inputs:
        texts = [tensor.to(device) for each in self.texts for tensor in each.of(rows)]
        return (self.numbers[rows].to(device), self.codes[rows].to(device), *texts)


class _Texts:
    """One text column: a bag for each distinct text, and which of them each row has."""

    def __init__(self, codes: Floats, texts: tuple[str, ...]) -> None:
        bags = ngrams.bags(texts, characters=False)
        self.buckets = bags.buckets % TEXT_BUCKETS
        self.sizes = np.diff(bags.starts)
        self.starts = bags.starts
        self.codes = np.where(np.isnan(codes), -1, codes).astype(np.int64)

    def of(self, rows: Any) -> Inputs:
        codes = self.codes[rows]
        sizes = np.where(codes < 0, 0, self.sizes[codes]) if len(self.sizes) else np.zeros(len(codes), np.int64)
        ends = np.cumsum(sizes)
        first = np.where(codes < 0, 0, self.starts[codes])
        picked = np.repeat(first, sizes) + np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - sizes, sizes)
        shares = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes).astype(np.float32)
        absent = (codes < 0).astype(np.float32)[:, None]
        return tuple(map(torch.from_numpy, (self.buckets[picked], ends - sizes, shares, absent)))


def owners(columns: Sequence[Column]) -> Places:
    """Which column each input of the first layer belongs to, in the order of `Network.design`."""
    held = tables.owners(columns)
    numbers = [*np.repeat(held.numbers, BINS), *held.numbers, *held.numbers]
    return np.array([*numbers, *np.repeat(held.codes, EMBEDDED), *np.repeat(held.texts, TEXT_WIDTH + 1)], dtype=np.intp)


def build(columns: Sequence[Column], labels: int) -> Network:
    """An untrained network for these columns."""
    numbers = sum({"number": 1, "boolean": 1, "date": len(tables.DATE_PARTS)}.get(column.kind, 0) for column in columns)
    texts = sum(column.kind == "text" for column in columns)
    return Network(numbers, tables.code_sizes(columns), texts, labels)


def train(
    columns: tuple[Column, ...],
    encoded: Encoded,
    task: Task,
    labels: int,
    *,
    device: torch.device,
    seed: int,
    progress: Progress,
    course: Course,
    former: Former | None = None,
) -> Engine:
    """Fit a network to encoded rows; task.truth counts the known labels from 0."""
    with seeded(seed, device):
        network = build(columns, labels)
        _measure(network, tables.parts(columns, encoded.matrix[task.training]).numbers)
        if former is not None:
            _begin(network, columns, former)
        inputs = _Inputs(columns, encoded, network)
        network.to(device)
        unseen = torch.tensor(tables.code_sizes(columns), dtype=torch.int64, device=device) - 1

        def take(rows: Any, learning: bool) -> Inputs:
            numbers, codes, *texts = inputs.rows(rows, device)
            if learning and codes.shape[1]:
                hidden = torch.rand(codes.shape, device=device) < UNSEEN_SHARE
                codes = torch.where(hidden, unseen, codes)
            return (numbers, codes, *texts)

        plan = _plan(len(task.training))
        fit(network, take, task, plan, device=device, seed=seed, progress=progress, course=course, name="torch-mlp")
    return Engine(columns, network)


def load(columns: tuple[Column, ...], settings: dict[str, Any], files: dict[str, bytes], device: torch.device) -> Engine:
    """The engine from its settings and files. Raises ModelLoadError."""
    network = build(columns, int(settings["known"]))
    weights.fill(network, files[weights.FILE])
    return Engine(columns, network.to(device))


def _begin(network: Network, columns: Sequence[Column], former: Former) -> None:
    """Weights of another network by column, category and label; a number that both have is measured as it was there."""
    other, others = former.engine.network, former.engine.columns
    numbers, theirs = _numbers(columns), _numbers(others)
    for name in ("low", "width", "center", "scale"):
        warm.taken(network.get_buffer(name), other.get_buffer(name), numbers, theirs)
    warm.taken(network.embedding.weight, other.embedding.weight, _codes(columns), _codes(others))
    texts = {column.name: place for place, column in enumerate(c for c in others if c.kind == "text")}
    for layer, column in zip(network.words, (c for c in columns if c.kind == "text"), strict=True):
        if column.name in texts:
            layer.load_state_dict(other.words[texts[column.name]].state_dict())
    first, second, last = (layer for layer in network.layers if isinstance(layer, nn.Linear))
    held = [layer for layer in other.layers if isinstance(layer, nn.Linear)]
    warm.taken(first.weight, held[0].weight.detach(), _inputs(columns), _inputs(others), axis=1)
    first.bias.data.copy_(held[0].bias)
    second.load_state_dict(held[1].state_dict())
    warm.outputs(last, held[2], former)


def _numbers(columns: Sequence[Column]) -> list[tuple[str, str, int]]:
    """A name for each number."""
    return _counted([(columns[place].name, columns[place].kind) for place in tables.owners(columns).numbers])


def _codes(columns: Sequence[Column]) -> list[tuple[str, str | int]]:
    """A name for each row of the embedding: missing, the categories, never seen."""
    held = [column for column in columns if column.kind == "category"]
    codes: list[list[str | int]] = [[0, *column.categories, 1] for column in held]
    return [(column.name, code) for column, some in zip(held, codes, strict=True) for code in some]


def _inputs(columns: Sequence[Column]) -> list[tuple[str, str, int]]:
    """A name for each input of the first layer."""
    return _counted([(columns[place].name, columns[place].kind) for place in owners(columns).tolist()])


def _counted(names: Sequence[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """Names that stand more than once told apart by their number."""
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for name in names:
        found.append((*name, seen[name]))
        seen[name] += 1
    return found


def _plan(rows: int) -> Plan:
    batch = int(np.clip(2 ** round(np.log2(max(rows, 2) / 40)), 16, 256))
    return Plan(batch=batch, rate=3e-3, decay=0.02, steps=600, epochs=12, patience=6)


def _measure(network: Network, numbers: Floats) -> None:
    """Centre, scale and quantile bins of each number from training rows; a column without values keeps the defaults."""
    for place in range(numbers.shape[1]):
        held = numbers[:, place][~np.isnan(numbers[:, place])]
        if not len(held):
            continue
        center, spread = held.mean(), held.std()
        scale = spread if spread > 1e-12 * max(1.0, abs(center)) else 1.0
        network.get_buffer("center")[place] = center
        network.get_buffer("scale")[place] = scale
        low, width = _bins((held - center) / scale)
        network.low[place] = torch.from_numpy(low)
        network.width[place] = torch.from_numpy(width)


def _bins(held: Floats) -> tuple[Floats, Floats]:
    """Lower edges and widths of at most BINS bins between distinct quantiles; bins too many never begin."""
    edges = np.unique(np.quantile(held, np.linspace(0, 1, BINS + 1)))
    low, width = np.full(BINS, 1e9), np.ones(BINS)
    low[: len(edges) - 1] = edges[:-1]
    width[: len(edges) - 1] = np.maximum(np.diff(edges), 1e-6)
    return low, width
