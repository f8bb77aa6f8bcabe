"""Owen values along a tree: what two halves give is shared between them, then what each has within its halves, and so on.

Owen 1977, "Values of games with a priori unions". The order in which nodes are opened, where not all can be, and so the
numbers are those of `shap.PartitionExplainer` with batches of BATCH.
"""

import heapq
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contract.predictors import Floats
from explain.pooling import Question

BATCH = 32
"""So many coalitions are asked for at once."""
Masks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tree:
    """`halves` [(left, right), ...] of the nodes from number `leaves` on, the root last; the leaves are 0 to `leaves` - 1."""

    leaves: int
    halves: tuple[tuple[int, int], ...]

    def sizes(self) -> list[int]:
        """How many leaves each node holds."""
        sizes = [1] * self.leaves
        for left, right in self.halves:
            sizes.append(sizes[left] + sizes[right])
        return sizes

    def members(self) -> list[int]:
        """Each node's leaves as the bits of a number."""
        members = [1 << leaf for leaf in range(self.leaves)]
        for left, right in self.halves:
            members.append(members[left] | members[right])
        return members


@dataclass(frozen=True, slots=True)
class Shared:
    """(leaves,) values; the answers to nothing and to all of it; every answer that was seen."""

    values: Floats
    base: float
    whole: float
    seen: Floats


class _Open(NamedTuple):
    """A node to be opened in the company of others: what is known of it, and how much it weighs. The largest go first."""

    size: float
    tie: float
    others: int
    without: float
    within: float
    node: int
    weight: float


def shared(
    tree: Tree, evaluations: int, seed: int, asking: Callable[[Masks], Question], read: Callable[[Floats], Floats]
) -> Generator[Question, Floats, Shared]:
    """Share among the leaves what `asking` (n, leaves) coalitions gives, its answers as `read` takes them.

    About `evaluations` are counted; each distinct one is asked for once. Ties are broken by draws from the seed.
    """
    draws, members = np.random.RandomState(seed), tree.members()
    known: dict[int, float] = {}
    everything = members[-1]
    yield from _ask([0, everything], known, tree.leaves, asking, read)
    base, whole = known[0], known[everything]
    held = np.zeros(len(members))
    waiting = [_Open(0.0, 0.0, 0, base, whole, len(members) - 1, 1.0)]
    count, most = 0, evaluations - 2
    while waiting and count < most:
        opened = _opened(waiting, held, tree, most - count)
        pairs = [[each.others | members[half] for half in tree.halves[each.node - tree.leaves]] for each in opened]
        yield from _ask([coalition for pair in pairs for coalition in pair], known, tree.leaves, asking, read)
        count += 2 * len(opened)
        ties = iter(draws.randn(4 * len(opened)).tolist())
        for each, (left, right) in zip(opened, pairs, strict=True):
            for part in _parts(each, tree, left, right, known, ties):
                heapq.heappush(waiting, part)
    for each in waiting:
        held[each.node] += (each.within - each.without) * each.weight
    return Shared(_lowered(held, tree), base, whole, np.array(list(known.values())))


def _opened(waiting: list[_Open], held: Floats, tree: Tree, left: int) -> list[_Open]:
    """The next nodes of one batch; leaves keep what they have."""
    opened: list[_Open] = []
    while waiting and 2 * len(opened) < min(BATCH, left):
        each = heapq.heappop(waiting)
        if each.node < tree.leaves:
            held[each.node] += (each.within - each.without) * each.weight
        else:
            opened.append(each)
    return opened


def _parts(each: _Open, tree: Tree, left: int, right: int, known: dict[int, float], ties: Iterator[float]) -> Iterator[_Open]:
    """Both halves of a node, each without the other and with it."""
    first, second = tree.halves[each.node - tree.leaves]
    one, other = known[left], known[right]
    for others, without, within, node in (
        (each.others, each.without, one, first),
        (each.others, each.without, other, second),
        (right, other, each.within, first),
        (left, one, each.within, second),
    ):
        weight = each.weight / 2
        yield _Open(-abs(within - without) * weight, next(ties), others, without, within, node, weight)


def _ask(
    coalitions: Sequence[int],
    known: dict[int, float],
    leaves: int,
    asking: Callable[[Masks], Question],
    read: Callable[[Floats], Floats],
) -> Generator[Question, Floats, None]:
    fresh = list(dict.fromkeys(each for each in coalitions if each not in known))
    if fresh:
        known |= zip(fresh, read((yield asking(_masks(fresh, leaves)))).tolist(), strict=True)


def _masks(coalitions: Sequence[int], leaves: int) -> Masks:
    width = -(-leaves // 8)
    packed = np.frombuffer(b"".join(each.to_bytes(width, "little") for each in coalitions), dtype=np.uint8)
    return np.unpackbits(packed.reshape(-1, width), axis=1, count=leaves, bitorder="little").astype(bool)


def _lowered(held: Floats, tree: Tree) -> Floats:
    """What stayed with a node goes to its leaves, by their number."""
    sizes, values = tree.sizes(), held.tolist()
    for node in range(len(values) - 1, tree.leaves - 1, -1):
        for half in tree.halves[node - tree.leaves]:
            values[half] += values[node] * sizes[half] / sizes[node]
    return np.array(values[: tree.leaves])
