"""The nearest already decided cases in the model's own representation, with what people decided there."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Near:
    """A decided case near another. `similarity` is a cosine; `decided` is None for a rejection."""

    item_id: int
    external_id: str
    similarity: float
    predicted: str | None
    decided: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """`looked_at`: of how many of the nearest decided cases the model had predicted a label; `disagreed`: in how many of these
    people decided against it."""

    space: str
    cases: tuple[Near, ...]
    looked_at: int
    disagreed: int
