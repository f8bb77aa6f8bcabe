"""How unlike what a model learned from a case is: the distance to its nearest neighbours there, held against ordinary cases.

The distance is that to the K-th nearest of a sample of what the model learned from (Sun et al. 2022, "Out-of-distribution
detection with deep nearest neighbors"): of texts and images between the values of the network's last hidden layer, scaled to
length one, and of texts by the share of n-grams that it never saw; of tables between the values themselves, since trees and lines
answer beyond all they saw as they do at its border. What is told of a case is the share of ordinary cases, none of them in the
sample, that lie at least as far.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from contract.inside import Representing
from contract.predictors import Floats, ImageModel, Predictor, TextModel
from contract.project import Feature
from contract.records import Row
from inference.errors import ModelLoadError

FILE = "ordinary.safetensors"
K = 5
"""Which of the nearest neighbours the distance is measured to."""
SAMPLE, HELD = 1_000, 2_000
"""Rows of the sample, and ordinary cases beside it, at most."""
LEAST = 50
"""Ordinary cases below which nothing is told."""
CATEGORIES = 63
"""Categories of a feature that have a place of their own, the most frequent; the others share one."""
NAMED = 1_000
"""Categories of a feature up to which one that was never seen is strange."""
PARTS = 100
BEYOND = 3.0
"""How far apart a value that was never seen the like of is from those that were, at least; two ordinary numbers are 1.4 apart."""
_SPREAD = 12**0.5
_CHUNK = 1_024
Vectors = NDArray[np.float32]


class Described(Protocol):
    @property
    def features(self) -> Mapping[str, Feature]: ...


@runtime_checkable
class Judging(Predictor, Protocol):
    """A model that may know what is ordinary."""

    @property
    def card(self) -> Described: ...
    @property
    def ordinary(self) -> "Ordinary | None": ...


@runtime_checkable
class Familiar(Protocol):
    """A model of texts that can tell how much of one it has ever seen."""

    def seen(self, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """n texts to the (n, h) values of its last hidden layer, and (n,) the shares of their n-grams that it knows."""
        ...


@dataclass(frozen=True, slots=True)
class Numbers:
    """How one feature's numbers are measured: by their place among `borders` (PARTS + 1,), from the smallest to the largest."""

    borders: tuple[float, ...]

    @property
    def width(self) -> int:
        return 3

    def measured(self, values: Sequence[Any]) -> Floats:
        """(n, 3): the place, whether there is none, and how far beyond all that was seen."""
        known = np.array([_number(value) for value in values], dtype=np.float64)
        borders = np.array(self.borders)
        missing = np.isnan(known)
        filled = np.where(missing, borders[PARTS // 2], known)
        low, high = np.searchsorted(borders, filled, "left"), np.searchsorted(borders, filled, "right")
        place = np.clip((low + high - 1) / 2 / PARTS, 0.0, 1.0) - 0.5
        excess = np.maximum(np.maximum(borders[0] - filled, filled - borders[-1]), 0.0)
        unit = max(borders[PARTS * 3 // 4] - borders[PARTS // 4], (borders[-1] - borders[0]) / 4, np.finfo(np.float64).tiny)
        beyond = np.where(excess > 0, BEYOND * (1 + np.log1p(excess / unit)), 0.0)
        return np.stack([np.where(missing, 0.0, place * _SPREAD), missing.astype(np.float64), beyond], axis=1)

    def to_json(self) -> Any:
        return list(self.borders)


@dataclass(frozen=True, slots=True)
class Names:
    """How one feature's categories are measured: each by its place. `open`: there are so many that a new one is none to note."""

    places: Mapping[str, int]
    open: bool

    @property
    def width(self) -> int:
        return min(max(self.places.values()), CATEGORIES) + 2

    def measured(self, values: Sequence[Any]) -> Floats:
        """(n, w): one of the places, the last of them for those that were never seen."""
        found = np.zeros((len(values), self.width))
        for n, value in enumerate(values):
            place = self.places.get(_name(value))
            if place is not None:
                found[n, place] = 1.0
            elif not self.open:
                found[n, -1] = BEYOND
        return found

    def to_json(self) -> Any:
        return {"places": dict(self.places), "open": self.open}


Measure = Numbers | Names


@dataclass(frozen=True, slots=True, eq=False)
class Ordinary:
    """What cases are held against. `reference`: (n, e), the sample; `held`: (m,) ascending distances of ordinary cases;
    `measures`: of a table's features by name, None where the model's own representation measures."""

    reference: Vectors
    held: Floats
    measures: Mapping[str, Measure] | None

    def strangeness(self, vectors: Vectors) -> list[float | None]:
        """(n, e) to the share of ordinary cases at least as far; None for what has no number.

        Ordinary cases come below a share a with a probability of at most a + 1 / (m + 1) (Vovk, Gammerman and Shafer 2005).
        """
        far = distances(self.reference, vectors, K)
        nearer = np.searchsorted(self.held, far, side="left")
        shares = ((len(self.held) - nearer) / len(self.held)).tolist()
        return [share if sound else None for share, sound in zip(shares, np.isfinite(far).tolist(), strict=True)]


def of_rows(features: Mapping[str, Feature], rows: Sequence[Row], seed: int = 0) -> Ordinary | None:
    """From a table's rows: one half is the sample, the other are the ordinary cases. None where they are too few."""
    order = np.random.default_rng(seed).permutation(len(rows))[: SAMPLE + HELD]
    half = min(len(order) // 2, SAMPLE)
    if half < LEAST:
        return None
    sample, held = [rows[n] for n in order[:half]], [rows[n] for n in order[half:]]
    measures = {name: made for name, each in features.items() if (made := _measure(each, [row.get(name) for row in sample]))}
    return _made(measured(measures, sample), measured(measures, held), measures) if measures else None


def of_inputs(model: object, learned: Any, held: Any) -> Ordinary | None:
    """From inputs, as the model's view takes them, that a network learned from, SAMPLE at most, and others, HELD at most.

    None where they are too few, and of a model that shows no layer.
    """
    if min(len(learned), len(held)) < LEAST:
        return None
    sample, others = _seen(model, learned), _seen(model, held)
    return _made(sample, others, None) if sample is not None and others is not None else None


def ordinary_of(model: Predictor) -> Ordinary | None:
    """What is ordinary to a model: what came with it, or of a table's model that is older what its background says."""
    if isinstance(model, Judging):
        return model.ordinary or (of_rows(model.card.features, model.background) if model.modality == "tabular" else None)
    return None


def told(model: object, ordinary: Ordinary | None, rows: Sequence[Row]) -> list[float | None]:
    """How strange these rows are to a model; None of each where it cannot tell. Raises ValueError for one that cannot be read."""
    if ordinary is None or not rows:
        return [None] * len(rows)
    if ordinary.measures is not None:
        return ordinary.strangeness(measured(ordinary.measures, rows))
    vectors = _seen(model, _read_inputs(model, rows))
    return [None] * len(rows) if vectors is None else ordinary.strangeness(vectors)


def measured(measures: Mapping[str, Measure], rows: Sequence[Row]) -> Vectors:
    """(n, e) of a table's rows."""
    parts = [each.measured([row.get(name) for row in rows]) for name, each in measures.items()]
    return np.concatenate(parts, axis=1).astype(np.float32)


def unit(vectors: Floats) -> Vectors:
    """(n, e) scaled to length one; zero rows stay zero."""
    length = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    return np.asarray(vectors / np.where(length > 0, length, 1.0), dtype=np.float32)


def distances(reference: Vectors, vectors: Vectors, k: int) -> Floats:
    """(n,) from each of (n, e) to the k-th nearest of (m, e)."""
    square = (reference**2).sum(axis=1)
    found = [_distances(reference, square, vectors[at : at + _CHUNK], k) for at in range(0, len(vectors), _CHUNK)]
    return np.concatenate(found) if found else np.empty(0)


def dump(ordinary: Ordinary) -> bytes:
    """As a safetensors file; the measures are its metadata."""
    import safetensors.numpy

    measures = {name: each.to_json() for name, each in ordinary.measures.items()} if ordinary.measures is not None else None
    tensors: dict[str, NDArray[Any]] = {"reference": ordinary.reference, "held": ordinary.held}
    return bytes(safetensors.numpy.save(tensors, {"measures": json.dumps(measures, allow_nan=False)}))


def load(data: bytes) -> Ordinary:
    """Raises ModelLoadError for what is not as `dump` writes it."""
    import safetensors.numpy

    try:
        tensors = safetensors.numpy.load(data)
        head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        told = json.loads(head["__metadata__"]["measures"])
        measures = {name: _read(each) for name, each in told.items()} if told is not None else None
        found = Ordinary(tensors["reference"], tensors["held"], measures)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelLoadError(f"{FILE} does not say what is ordinary: {error}") from error
    width = None if measures is None else sum(each.width for each in measures.values())
    if found.reference.ndim != 2 or width not in (None, found.reference.shape[1]) or not found.held.size:
        raise ModelLoadError(f"{FILE} does not say what is ordinary: its sample has shape {found.reference.shape}")
    return found


def _made(sample: Vectors, held: Vectors, measures: Mapping[str, Measure] | None) -> Ordinary:
    return Ordinary(sample, np.sort(distances(sample, held, K)), measures)


def _distances(reference: Vectors, square: Vectors, vectors: Vectors, k: int) -> Floats:
    apart = vectors @ reference.T
    apart *= -2.0
    apart += square
    apart.partition(k - 1, axis=1)
    own = (vectors.astype(np.float64) ** 2).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(apart[:, k - 1] + own, 0.0)))


def _read_inputs(model: object, rows: Sequence[Row]) -> Any:
    if isinstance(model, TextModel):
        return [row.get(model.feature) or "" for row in rows]
    if isinstance(model, ImageModel):
        return np.stack([model.decode(row[model.feature]) for row in rows])
    return rows


def _seen(model: object, inputs: Any) -> Vectors | None:
    """(n, e) of inputs as the model's view takes them; None of a model that shows no layer."""
    if isinstance(model, Familiar):
        values, known = model.seen(inputs)
        return np.concatenate([unit(values), BEYOND * (1 - known[:, None]).astype(np.float32)], axis=1)
    hidden = model.hidden if isinstance(model, Representing) else None
    return unit(hidden.of(inputs)) if hidden is not None else None


def _measure(feature: Feature, values: Sequence[Any]) -> Measure | None:
    """None for what has no place: texts, and dates, since later ones come by themselves."""
    if feature.type == "number":
        known = [value for value in map(_number, values) if not np.isnan(value)]
        return Numbers(tuple(np.quantile(known, np.linspace(0, 1, PARTS + 1)).tolist())) if known else None
    if feature.type in ("category", "boolean"):
        return _names(Counter(map(_name, values)))
    return None


def _names(counts: Mapping[str, int]) -> Names:
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    many = len(ordered) > NAMED
    return Names({name: min(n, CATEGORIES) for n, name in enumerate(ordered[:NAMED])}, many)


def _number(value: Any) -> float:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and np.isfinite(value) else float("nan")


def _name(value: Any) -> str:
    return "missing" if value is None else f"={value}"


def _read(told: Any) -> Measure:
    if isinstance(told, list):
        return Numbers(tuple(map(float, told)))
    return Names({str(name): int(place) for name, place in told["places"].items()}, bool(told["open"]))
