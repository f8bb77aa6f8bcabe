"""What a model may show of its inside to those who explain it: weights, trees or gradients over a design of its columns.

All is numpy in and numpy out. A design is what the model computes on: e columns made of the project's features (or of an image's
pixels), each with its owner, the place of the feature (or the number of the pixel) that it belongs to.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from contract.predictors import Floats

Places = NDArray[np.intp]
Design = Callable[[Any], Floats]
"""n inputs, as the model's view takes them (an Encoded table, or images), to the (n, e) matrix that the model computes on."""
LAST_LAYER = "the network's last hidden layer"


@dataclass(frozen=True, slots=True)
class Last:
    """The step from a model's m scores to the k probabilities that it reports.

    The labels at the places `known` get softmax(scores / temperature), the m of them in their order, each times what the others
    leave; every other label gets the probability `unseen`.
    """

    labels: tuple[str, ...]
    known: tuple[int, ...]
    temperature: float = 1.0
    unseen: float = 0.0

    @property
    def share(self) -> float:
        """What the known labels share out."""
        return 1.0 - self.unseen * (len(self.labels) - len(self.known))

    @property
    def straight(self) -> bool:
        """Whether log-odds are linear in the scores: two labels, both known."""
        return len(self.known) == len(self.labels) == 2

    def place(self, label: str) -> int | None:
        """Which of the scores is the label's; None for a label that has none. Raises ValueError for one that is not there."""
        at = self.labels.index(label)
        return self.known.index(at) if at in self.known else None

    def against(self, place: int) -> Floats:
        """(m,) how much of each label's power, exp(score / temperature), stands against the label with the score at a place."""
        others = np.ones(len(self.known))
        others[place] = 1.0 - self.share
        return others

    def log_odds(self, scores: Floats, label: str) -> Floats:
        """(n, m) scores to (n,) log p / (1 - p) of the label as it is reported."""
        place = self.place(label)
        if place is None:
            return np.full(len(scores), np.log(self.unseen) - np.log1p(-self.unseen))
        cool = scores / self.temperature
        with np.errstate(divide="ignore"):
            held = cool + np.log(self.against(place))
        most = held.max(axis=1)
        rest = most + np.log(np.exp(held - most[:, None]).sum(axis=1))
        return np.asarray(cool[:, place] + np.log(self.share) - rest)


@dataclass(frozen=True, slots=True)
class Linear:
    """scores = design @ weights + bias. `owners` (e,), `weights` (e, m), `bias` (m,)."""

    design: Design
    owners: Places
    weights: Floats
    bias: Floats
    last: Last


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree by its nodes, the root first. `left`, `right` and `default` (for a missing value) are nodes, -1 in a leaf; a row
    goes left where its value in the design's column `feature` is at most `threshold`; `values` (nodes, m) count in leaves."""

    left: Places
    right: Places
    default: Places
    feature: Places
    threshold: Floats
    values: Floats


@dataclass(frozen=True, slots=True)
class Trees:
    """scores = base + the sum of the leaves that a row falls into, one of each tree. `base` (m,).

    Without `last`, the m scores are the probabilities of the k labels themselves.
    """

    design: Design
    owners: Places
    trees: tuple[Tree, ...]
    base: Floats
    last: Last | None


@dataclass(frozen=True, slots=True)
class Deep:
    """A network for DeepLIFT: `module` is opaque here, `tensor` makes its input of (n, e) points, its output is (n, m) scores.

    `module` answers nobody else, so that hooks may be put on it.
    """

    module: Any
    tensor: Callable[[Floats], Any]
    last: Last


@dataclass(frozen=True, slots=True)
class Smooth:
    """A label's log-odds as a smooth function of points (n, e) of the design, and its gradient there.

    `answer` maps points and a label to (n,) log-odds, `gradient` to those and their (n, e) gradient, in the precision of the
    model. `deep` makes what DeepLIFT needs; None for a network that shows no layers.
    """

    design: Design
    owners: Places
    answer: Callable[[Floats, str], Floats]
    gradient: Callable[[Floats, str], tuple[Floats, Floats]]
    deep: Callable[[], Deep] | None = None


View = Linear | Trees | Smooth


@dataclass(frozen=True, slots=True)
class Hidden:
    """Where a model sees inputs as near or far: `words` name the place for people, `of` maps n inputs to (n, h) numbers."""

    words: str
    of: Callable[[Any], Floats]


@runtime_checkable
class Inspectable(Protocol):
    """A model that may show its inside."""

    @property
    def inside(self) -> View | None:
        """None where it cannot be shown, or where what it shows would not answer as the model does."""
        ...


@runtime_checkable
class Representing(Protocol):
    """A model that may show how it represents its inputs."""

    @property
    def hidden(self) -> Hidden | None: ...
