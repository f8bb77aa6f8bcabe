"""What every explaining method offers, and the seed of an item."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from contract.records import Explanation, Row


@dataclass(frozen=True, slots=True)
class Ask:
    """One row to explain: towards which label, and from which seed (0 to 2^32 - 1)."""

    row: Row
    label: str
    seed: int


class Explainer(Protocol):
    """One method bound to one model. Threads may share it; what it explained before changes nothing."""

    @property
    def method(self) -> str: ...

    def explain(self, row: Row, *, label: str, seed: int) -> Explanation:
        """Why the model leans to `label` for one row; the same for the same seed (0 to 2^32 - 1).

        What goes wrong with the item or the model is told in `problem`. Raises UnknownLabel.
        """
        ...

    def explain_all(self, asks: Sequence[Ask]) -> list[Explanation]:
        """One for each, in order, as `explain` gives it alone, up to the rounding of the model's arithmetic.

        What goes wrong with one, an unknown label too, is told in its `problem` and touches no other.
        """
        ...


SEEDS = 16
"""So many seeds serve all items, so that what each of them draws is drawn once and kept: drawing takes longer than the rest."""


def seed_for(item: str) -> int:
    """The seed of an item, from its id: 0 to SEEDS - 1, the same on every machine, whatever is explained with it."""
    return int.from_bytes(hashlib.sha256(item.encode()).digest()[:4], "big") % SEEDS
