"""Methods that look inside a model of tables: the background in the model's design, and what they share."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar, cast

import numpy as np

from contract.inside import Inspectable, Linear, Smooth, Trees, View
from contract.predictors import Encoded, Floats, TableModel
from contract.records import Explanation, Row, Unit
from explain.background import background_hash, drawn
from explain.errors import ItemUnreadable, ModelFailed, NotExplainable, UnknownLabel
from explain.explainer import Ask
from explain.finding import Finding, Heading, gaps, recorded, steadied
from explain.isolation import isolated
from explain.pacing import Between, pieces
from explain.table import encoded_background
from explain.target import CLIP, named

ROWS = 64
"""Background rows that a row is compared with, at most."""
NEAR = 1e-4
"""How far a view may answer from the model, in log-odds or probabilities, and as a share of the answer."""
EDGE = float(np.log1p(-CLIP) - np.log(CLIP)) - 1e-6
"""Log-odds from here on are not told apart by the model's probabilities."""
_WANTED: dict[type[View], str] = {
    Linear: "weights",
    Trees: "trees",
    Smooth: "gradients",
}
Seen = TypeVar("Seen", bound=View)


def view_of(model: object, kind: type[Seen]) -> Seen:
    """What a model shows of its inside. Raises NotExplainable where it is not of this kind."""
    try:
        view = model.inside if isinstance(model, Inspectable) else None
    except Exception as error:
        raise NotExplainable(f"The model's inside cannot be seen: {named(error)}") from error
    if not isinstance(view, kind):
        raise NotExplainable(f"This model shows no {_WANTED[cast(type[View], kind)]} of its inside, which this method needs.")
    return view


class Each(ABC):
    """Asks are worked on a few at a time, and one that fails takes no other down."""

    method: ClassVar[str]
    labels: tuple[str, ...]
    between: Between

    def explain(self, row: Row, *, label: str, seed: int) -> Explanation:
        """See Explainer."""
        if label not in self.labels:
            raise UnknownLabel(label, self.labels)
        return self.explain_all([Ask(row, label, seed)])[0]

    def explain_all(self, asks: Sequence[Ask]) -> list[Explanation]:
        """One for each, in order, as `explain` gives it; an unknown label is a problem of that one."""
        return [made for part in pieces(asks, self.between) for made in self._timed(part)]

    def _timed(self, asks: Sequence[Ask]) -> list[Explanation]:
        begun = time.perf_counter()
        with np.errstate(all="ignore"):
            outcomes = isolated(asks, self._known)
        seconds = (time.perf_counter() - begun) / len(asks)
        return [recorded(self._heading(ask), outcome, seconds) for ask, outcome in zip(asks, outcomes, strict=True)]

    def _known(self, asks: Sequence[Ask]) -> list[Finding]:
        for ask in asks:
            if ask.label not in self.labels:
                raise UnknownLabel(ask.label, self.labels)
        return self._find(asks)

    @abstractmethod
    def _heading(self, ask: Ask) -> Heading: ...

    @abstractmethod
    def _find(self, asks: Sequence[Ask]) -> list[Finding]: ...


class TableLook(Each, Generic[Seen]):
    """Shares of a label's answer over a design, folded to the project's features.

    `rows` background rows are compared with. Raises NotExplainable for an empty background, for a model that shows nothing of
    this kind, and for one that answers otherwise than what it shows.
    """

    kind: ClassVar[type[View]]
    unit: Unit = "log-odds"

    def __init__(self, model: TableModel, background: Sequence[Row], *, rows: int, between: Between) -> None:
        self.model, self.labels, self.between = model, model.labels, between
        self.view = cast(Seen, view_of(model, self.kind))
        self._open()
        self._set(drawn(background, rows))

    def _open(self) -> None:
        """What is made once of the view."""

    def _set(self, used: list[Row]) -> None:
        encoded = encoded_background(self.model, used)
        answers = self._asked(encoded)
        sound = np.isfinite(answers).all(axis=1)
        if not sound.any():
            raise NotExplainable("The model answers no row of its background with numbers.")
        self.background = self._points(encoded)[sound]
        self.hash = background_hash([used[place] for place in np.flatnonzero(sound)])
        self.params: dict[str, Any] = {"background_rows": len(self.background)}
        self._prepare()
        self._behind = {label: self._answer(self.background, label) for label in self.labels}
        self._compare(answers[sound])

    def _prepare(self) -> None:
        """What is made once of view and background."""

    @abstractmethod
    def _answer(self, points: Floats, label: str) -> Floats:
        """(n, e) points to the (n,) answers that are shared out."""

    @abstractmethod
    def _found(self, asks: Sequence[Ask], points: Floats, due: Sequence[float]) -> list[Finding]:
        """What is found for asks with (n, e) points and the model's n answers."""

    def _compare(self, answers: Floats) -> None:
        for place, label in enumerate(self.labels):
            due, found = self._scale(answers[:, place]), self._held(self._behind[label])
            if not np.allclose(found, due, rtol=NEAR, atol=NEAR):
                raise NotExplainable("What the model shows of its inside does not answer as the model does.")

    def _scale(self, probabilities: Floats) -> Floats:
        if self.unit == "probability":
            return probabilities
        p = np.clip(probabilities, CLIP, 1 - CLIP)
        return np.asarray(np.log(p) - np.log1p(-p))

    def _held(self, answers: Floats) -> Floats:
        return answers if self.unit == "probability" else np.clip(answers, -EDGE - 1e-6, EDGE + 1e-6)

    def _heading(self, ask: Ask) -> Heading:
        return Heading(self.method, "tabular", self.unit, ask.label, ask.seed, self.hash, self.params)

    def _find(self, asks: Sequence[Ask]) -> list[Finding]:
        encoded = self._encoded([ask.row for ask in asks])
        points, answers = self._points(encoded), self._asked(encoded)
        due = self._scale(answers[np.arange(len(asks)), [self.labels.index(ask.label) for ask in asks]])
        return self._found(asks, points, due.tolist())

    def _finding(self, ask: Ask, weights: Floats, due: float, params: Mapping[str, Any] | None = None) -> Finding:
        behind = self._behind[ask.label]
        weights, note = steadied(weights, np.append(behind, due))
        base = float(behind.mean())
        quality = gaps(base, weights, self._beyond(base + float(weights.sum()), due))
        return Finding(base, weights.tolist(), self._contributions(ask.row, weights), quality, {**(params or {}), **note})

    def _beyond(self, total: float, due: float) -> float:
        """What the total is held against: the model's answer, or itself where both lie beyond what probabilities tell apart."""
        both = self.unit == "log-odds" and min(abs(due), abs(total)) >= EDGE and due * total > 0
        return total if both else due

    def fold(self, values: Floats) -> Floats:
        """(n, e) numbers of the design to (n, d) of the project's features."""
        d = len(self.model.columns)
        return np.array([np.bincount(self.view.owners, row, minlength=d) for row in values]).reshape(len(values), d)

    def _encoded(self, rows: Sequence[Row]) -> Encoded:
        try:
            return self.model.encode(rows)
        except Exception as error:
            raise ItemUnreadable(f"The model cannot read this item: {named(error)}") from error

    def _points(self, encoded: Encoded) -> Floats:
        try:
            return np.asarray(self.view.design(encoded))
        except Exception as error:
            raise ModelFailed(f"The model failed on this item: {named(error)}") from error

    def _asked(self, encoded: Encoded) -> Floats:
        try:
            return np.asarray(self.model.table_probabilities(encoded), dtype=np.float64)
        except Exception as error:
            raise ModelFailed(f"The model failed on this item: {named(error)}") from error

    def _contributions(self, row: Row, weights: Floats) -> list[dict[str, Any]]:
        names = [column.name for column in self.model.columns]
        return [
            {"feature": name, "value": row.get(name), "contribution": float(weight)}
            for name, weight in zip(names, weights, strict=True)
        ]


class AllAtOnce(TableLook[Seen]):
    """Shares that are found for many rows together."""

    @abstractmethod
    def _shares(self, points: Floats, labels: Sequence[str]) -> Floats:
        """(n, e) points and the label of each to (n, e) shares."""

    def _sides(self, points: Floats, labels: Sequence[str]) -> list[Floats]:
        """(n, e) points to (n, e) shares of each of some labels."""
        return [self._shares(points, [label] * len(points)) for label in labels]

    def _found(self, asks: Sequence[Ask], points: Floats, due: Sequence[float]) -> list[Finding]:
        shares = self.fold(self._shares(points, [ask.label for ask in asks]))
        return [self._finding(*each) for each in zip(asks, shares, due, strict=True)]

    def folded(self, rows: Sequence[Row], labels: Sequence[str]) -> Floats:
        """n rows to (n, labels × d) shares of these labels, side by side. Raises what a single row would raise."""
        points = self._points(self._encoded(rows))
        return np.hstack([self.fold(side) for side in self._sides(points, labels)])
