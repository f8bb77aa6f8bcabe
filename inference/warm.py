"""Beginning where another model ended: what of it fits, by the names of columns, categories and labels."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from inference.splits import Integers


@dataclass(frozen=True, slots=True)
class Former:
    """Another model of the same kind. `places`: of each label that is learned, its place among those the other knows, or -1."""

    engine: Any
    places: Integers


def taken(target: Tensor, source: Tensor, names: Sequence[Hashable], others: Sequence[Hashable], axis: int = 0) -> None:
    """Copy the slices of `source` along an axis whose names `target` has too; the rest of `target` stays as it is."""
    there = {name: place for place, name in enumerate(others)}
    pairs = [(place, there[name]) for place, name in enumerate(names) if name in there]
    if not pairs:
        return
    to, of = (torch.tensor(side, device=target.device) for side in zip(*pairs, strict=True))
    with torch.no_grad():
        target.index_copy_(axis, to, source.to(target.device).index_select(axis, of))


def outputs(last: nn.Linear, other: nn.Linear, former: Former) -> None:
    """The last layer, by label."""
    others = range(other.out_features)
    taken(last.weight, other.weight.detach(), former.places.tolist(), others)
    taken(last.bias, other.bias.detach(), former.places.tolist(), others)


def shapes_agree(module: nn.Module, other: nn.Module) -> bool:
    """Whether one's values can be the other's."""
    mine, theirs = module.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(mine[name].shape == theirs[name].shape for name in mine)
