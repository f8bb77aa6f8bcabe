"""Many inputs that are made slice by slice, so that no more of them exist than a model is asked about at once."""

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Any, Protocol

import numpy as np


class Sliced(Protocol):
    """An array, a list, or what makes one for a slice without a step."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Any: ...


class Joined:
    """Several one after the other."""

    def __init__(self, parts: Sequence[Sliced]) -> None:
        self._parts = parts
        self._ends = [0, *np.cumsum([len(part) for part in parts]).tolist()]

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, part: slice) -> Any:
        begin, end, _ = part.indices(len(self))
        taken = [
            each[max(begin - first, 0) : end - first]
            for each, (first, last) in zip(self._parts, pairwise(self._ends), strict=True)
            if begin < last and first < end
        ]
        if len(taken) == 1:
            return taken[0]
        return list(chain.from_iterable(taken)) if isinstance(taken[0], list) else np.concatenate(taken)
