"""torch-text: hashed words and character n-grams in an embedding bag (Joulin et al. 2017, "Bag of Tricks", section 2).

Each n-gram weighs its tf-idf, and a text's weights have length one, as in the usual baseline of TF-IDF and logistic regression.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from contract.inside import LAST_LAYER, Hidden
from contract.predictors import Floats
from inference import gradients, ngrams, warm, weights
from inference.course import Course
from inference.devices import Inputs, forward
from inference.errors import ModelLoadError
from inference.fitting import Plan, fit, seeded
from inference.splits import Integers, Progress, Task
from inference.warm import Former

MAX_NGRAMS = 60_000
WIDTH = 128
CHUNK = 1024


class Network(nn.Module):
    """Bags of known n-grams with their weights to (n, m) scores. Which buckets are known, and their idf, are buffers."""

    known: Tensor
    idf: Tensor

    def __init__(self, ngrams: int, labels: int) -> None:
        super().__init__()
        self.register_buffer("known", torch.zeros(ngrams, dtype=torch.int64))
        self.register_buffer("idf", torch.zeros(ngrams, dtype=torch.float32))
        self.bag = nn.EmbeddingBag(ngrams, WIDTH, mode="sum")
        self.drop = nn.Dropout(0.3)
        self.last = nn.Linear(WIDTH, labels)
        nn.init.normal_(self.bag.weight, std=0.1)

    def forward(self, buckets: Tensor, starts: Tensor, shares: Tensor) -> Tensor:
        return self.last(self.drop(self.hidden(buckets, starts, shares)))  # type: ignore[no-any-return]

    def hidden(self, buckets: Tensor, starts: Tensor, shares: Tensor) -> Tensor:
        """(n, h) values of the last layer before the scores."""
        return self.bag(buckets, starts, per_sample_weights=shares)  # type: ignore[no-any-return]


class Engine:
    """The trained network and the table from bucket to n-gram."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.idf = network.idf.cpu().numpy().astype(np.float64)
        self.places = np.full(ngrams.BUCKETS, -1, dtype=np.int32)
        self.places[network.known.cpu().numpy()] = np.arange(len(self.idf))

    def scores(self, texts: Sequence[str]) -> Floats:
        """n texts to (n, m) scores."""
        found = [self._chunk(texts[start : start + CHUNK]) for start in range(0, len(texts), CHUNK)]
        return np.concatenate(found) if found else np.empty((0, self.network.last.out_features))

    @property
    def hidden(self) -> Hidden:
        return Hidden(LAST_LAYER, self._represented)

    def _represented(self, texts: Sequence[str]) -> Floats:
        held = weighed(ngrams.bags(texts), self.places, self.idf)
        return gradients.designed(self.network.hidden, held.chunk, len(texts), CHUNK)

    def seen(self, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """n texts to (n, h) values of the last hidden layer, and (n,) the shares of their n-grams that are known."""
        bags = ngrams.bags(texts)
        values = gradients.designed(self.network.hidden, weighed(bags, self.places, self.idf).chunk, len(texts), CHUNK)
        sizes = np.diff(bags.starts)
        known = np.bincount(np.repeat(np.arange(len(texts)), sizes), self.places[bags.buckets] >= 0, minlength=len(texts))
        return values, np.where(sizes > 0, known / np.maximum(sizes, 1), 1.0)

    def _chunk(self, texts: Sequence[str]) -> Floats:
        held = weighed(ngrams.bags(texts), self.places, self.idf)
        return forward(self.network, held.chunk, len(texts), self.network.last.out_features, CHUNK)

    def settings(self) -> dict[str, Any]:
        return {"known": self.network.last.out_features, "ngrams": len(self.idf)}

    def files(self) -> dict[str, bytes]:
        return {weights.FILE: weights.dump(self.network)}


class Weighed:
    """Known n-grams of each text with tf-idf weights of length one."""

    def __init__(self, places: Integers, shares: Floats, starts: Integers) -> None:
        self.places = torch.from_numpy(places)
        self.shares = torch.from_numpy(shares.astype(np.float32))
        self.starts = starts

    def chunk(self, start: int, stop: int, device: torch.device) -> Inputs:
        first, last = self.starts[start], self.starts[stop]
        offsets = torch.from_numpy(self.starts[start:stop] - first)
        return tuple(each.to(device) for each in (self.places[first:last], offsets, self.shares[first:last]))

    def rows(self, rows: Integers, device: torch.device) -> Inputs:
        sizes = self.starts[rows + 1] - self.starts[rows]
        ends = np.cumsum(sizes)
        picked = np.repeat(self.starts[rows] - (ends - sizes), sizes) + np.arange(ends[-1])
        return tuple(each.to(device) for each in (self.places[picked], torch.from_numpy(ends - sizes), self.shares[picked]))


def weighed(bags: ngrams.Bags, places: Any, idf: Floats) -> Weighed:
    """Bags of buckets as bags of known n-grams; (1 + log tf) × idf, divided by its length over the text."""
    owners = np.repeat(np.arange(len(bags.starts) - 1), np.diff(bags.starts))
    held = places[bags.buckets].astype(np.int64)
    kept = held >= 0
    held, owners = held[kept], owners[kept]
    shares = (1 + np.log(bags.counts[kept])) * idf[held]
    texts = len(bags.starts) - 1
    length = np.sqrt(np.bincount(owners, shares**2, minlength=texts))
    starts = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=texts))]).astype(np.int64)
    return Weighed(held, shares / np.maximum(length[owners], 1e-12), starts)


def train(
    texts: Sequence[str],
    task: Task,
    labels: int,
    *,
    device: torch.device,
    seed: int,
    progress: Progress,
    course: Course,
    former: Former | None = None,
) -> Engine:
    """Fit a network to texts; task.truth counts the known labels from 0."""
    bags = ngrams.bags(texts)
    known, idf = vocabulary(bags, task.training)
    with seeded(seed, device):
        network = Network(len(known), labels)
        network.known.copy_(torch.from_numpy(known))
        network.idf.copy_(torch.from_numpy(idf))
        if former is not None:
            _begin(network, former)
        held = weighed(bags, Engine(network).places, idf)
        network.to(device)
        plan = _plan(len(task.training))

        def take(some: Integers, learning: bool) -> Inputs:
            return held.rows(some, device)

        fit(network, take, task, plan, device=device, seed=seed, progress=progress, course=course, name="torch-text")
    return Engine(network)


def _plan(rows: int) -> Plan:
    batch = int(np.clip(2 ** round(np.log2(max(rows, 2) / 30)), 8, 64))
    return Plan(batch=batch, rate=5e-3, decay=0.01, steps=400, epochs=20, patience=3)


def _begin(network: Network, former: Former) -> None:
    """Weights of another network by n-gram and label."""
    other = former.engine.network
    warm.taken(network.bag.weight, other.bag.weight, network.known.tolist(), other.known.tolist())
    warm.outputs(network.last, other.last, former)


def vocabulary(bags: ngrams.Bags, rows: Integers) -> tuple[Integers, Floats]:
    """Buckets that training rows hold, ascending, with their idf; in more than 200 rows, those that two or more hold.

    At most MAX_NGRAMS, the most frequent first. Texts without any give one n-gram that stands for nothing.
    """
    starts, sizes = bags.starts[rows], np.diff(bags.starts)[rows]
    ends = np.cumsum(sizes)
    picked = np.repeat(starts - (ends - sizes), sizes) + np.arange(ends[-1] if len(ends) else 0)
    found = np.bincount(bags.buckets[picked], minlength=1)
    least = 2 if len(rows) > 200 else 1
    known = np.flatnonzero(found >= least)
    if len(known) > MAX_NGRAMS:
        known = np.sort(known[np.argsort(-found[known], kind="stable")[:MAX_NGRAMS]])
    if not len(known):
        known = np.zeros(1, dtype=np.int64)
    return known, np.log((1 + len(rows)) / (1 + found[known])) + 1


def load(settings: dict[str, Any], files: dict[str, bytes], device: torch.device) -> Engine:
    """The engine from its settings and files. Raises ModelLoadError."""
    count = int(settings["ngrams"])
    if not 1 <= count <= MAX_NGRAMS:
        raise ModelLoadError(f"model.json names {count} n-grams; 1 to {MAX_NGRAMS} are possible")
    network = Network(count, int(settings["known"]))
    weights.fill(network, files[weights.FILE])
    if int(network.known.min()) < 0 or int(network.known.max()) >= ngrams.BUCKETS:
        raise ModelLoadError(f"{weights.FILE} names an n-gram outside the {ngrams.BUCKETS} buckets")
    return Engine(network.to(device))
