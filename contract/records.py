"""Frozen records that cross folders: what a model said, what routing made of it, why the model thinks so."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

RouteKind = Literal["auto", "review", "failed"]
Unit = Literal["log-odds", "probability"]

Row = Mapping[str, Any]
"""One item's input: feature name to JSON value; None is a missing value."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A probability per label, in the model's own order of labels; they sum to one.

    `strangeness`: the share of ordinary cases that lie at least as far from what the model learned from; small is strange,
    None: the model cannot tell.
    """

    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    strangeness: float | None = None

    @property
    def label(self) -> str:
        """The most probable label; the first of equals."""
        return self.labels[self.probabilities.index(max(self.probabilities))]

    def of(self, label: str) -> float:
        """The probability of one label; 0 for one that the model does not know."""
        return self.probabilities[self.labels.index(label)] if label in self.labels else 0.0


@dataclass(frozen=True, slots=True)
class Unscored:
    """The item can be shown but the model gave no answer for it: a person gives the label."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unshowable:
    """The item cannot even be shown: its route is `failed`."""

    reason: str


Scored = Prediction | Unscored | Unshowable


@dataclass(frozen=True, slots=True)
class Route:
    """Where an item goes and why; every number that later proves how it was treated."""

    route: RouteKind
    reason: str
    label: str | None = None
    confidence: float | None = None
    band: int = 0
    p_evidence: float = 0.0
    p_second: float = 0.0
    pi: float = 1.0
    drawn: tuple[str, ...] = ()
    weight: float = 1.0
    segment: str = ""

    @property
    def blind(self) -> bool:
        return bool(self.drawn)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a model leans to one label for one item, as the library computed it, or as the producer sent it; JSON-ready.

    `method` is `producer` for what was sent; `params` then carry the producer's name of the method and of the version, and
    `unit` is None where none was said.

    `contributions` by modality:
    tables  [{"feature": str, "value": JSON, "contribution": float}, ...] in the project's order of features;
    text    [{"start": int, "end": int, "text": str, "contribution": float}, ...] in reading order;
    images  {"height": int, "width": int, "segments": base64 of a 16-bit PNG of segment numbers, "weights": [float, ...]}.
    Where no sensible explanation exists, `problem` says why and contributions are empty. `doubt` says why the order of the
    contributions is not to be relied on, where that was seen.
    """

    method: str
    label: str
    unit: Unit | None
    base: float | None
    contributions: Any
    params: Mapping[str, Any]
    seed: int
    background_hash: str
    quality: Mapping[str, float]
    seconds: float
    problem: str | None = None
    modality: Literal["tabular", "text", "image"] = field(default="tabular")
    doubt: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
