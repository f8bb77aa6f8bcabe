"""Texts as bags of hashed words, word pairs and character n-grams, computed for a whole batch at once.

The hash of a span is a difference of prefix sums of a polynomial over code points, moved to a common power (Karp and Rabin
1987), so words and n-grams of any length cost one subtraction and one multiplication each. Nothing depends on the machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from contract.predictors import Floats

Words = NDArray[np.uint64]
Integers = NDArray[np.int64]

BUCKETS = 1 << 20
_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)
_MIX = 0xD6E8FEB86659FD93
_CHUNK = 1_000_000
"""Characters hashed in one go."""


@dataclass(frozen=True, slots=True)
class Bags:
    """The n-grams of some texts: text i holds buckets[starts[i]:starts[i + 1]], each once, with its count."""

    buckets: Integers
    counts: Floats
    starts: Integers


def bags(texts: Sequence[str], *, characters: bool = True) -> Bags:
    """Hashed words and word pairs, and with `characters` the 2- to 5-grams inside words; buckets below BUCKETS."""
    found = [_bags_of(part, characters) for part in _chunks(texts)]
    sizes = np.concatenate([[0], *(np.diff(each.starts) for each in found)]).astype(np.int64)
    if not found:
        return Bags(np.empty(0, np.int64), np.empty(0), sizes)
    buckets = np.concatenate([each.buckets for each in found])
    return Bags(buckets, np.concatenate([each.counts for each in found]), np.cumsum(sizes))


def _chunks(texts: Sequence[str]) -> list[list[str]]:
    chunks: list[list[str]] = []
    room = 0
    for text in texts:
        room -= len(text)
        if room < 0 or not chunks:
            chunks.append([])
            room = _CHUNK - len(text)
        chunks[-1].append(text)
    return chunks


def _bags_of(texts: Sequence[str], characters: bool) -> Bags:
    codes, owners = _code_points(texts)
    prefix, powers = _prefix(codes)
    starts, stops = _tokens(codes, owners)
    spans = [(starts, stops, 1), *_pairs(starts, stops, owners)]
    if characters:
        spans += _grams(starts, stops)
    hashes = np.concatenate([_hash(prefix, powers, left, right, kind) for left, right, kind in spans])
    owner = np.concatenate([owners[left] for left, _, _ in spans])
    return _counted(owner, hashes % np.uint64(BUCKETS), len(texts))


def _code_points(texts: Sequence[str]) -> tuple[Words, Integers]:
    """All texts in lower case with single spaces around words, as code points, and which text each belongs to."""
    wrapped = [f" {' '.join(text.lower().split())} " for text in texts]
    raw = "".join(wrapped).encode("utf-32-le", "surrogatepass")
    sizes = np.fromiter(map(len, wrapped), dtype=np.int64, count=len(wrapped))
    return np.frombuffer(raw, dtype=np.uint32).astype(np.uint64), np.repeat(np.arange(len(texts)), sizes)


def _prefix(codes: Words) -> tuple[Words, Words]:
    """Prefix sums of code × BASE^i, and BASE^-i, both modulo 2^64."""
    rising, falling = _powers(_BASE, len(codes)), _powers(_INVERSE, len(codes) + 1)
    sums = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.cumsum((codes + np.uint64(1)) * rising, out=sums[1:])
    return sums, falling


def _powers(base: int, count: int) -> Words:
    powers = np.full(max(count, 1), base, dtype=np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)[:count]


def _hash(prefix: Words, powers: Words, left: Integers, right: Integers, kind: int) -> Words:
    held = (prefix[right] - prefix[left]) * powers[left] + np.uint64(kind * _MIX % (1 << 64))
    held ^= held >> np.uint64(32)
    held *= np.uint64(_MIX)
    return held ^ (held >> np.uint64(32))


def _tokens(codes: Words, owners: Integers) -> tuple[Integers, Integers]:
    """Where words begin and end: runs of letters and digits; every other visible character is a word of its own."""
    kinds = _kinds()[codes]
    change = np.flatnonzero((kinds[1:] != kinds[:-1]) | (kinds[1:] == 2)) + 1
    edges = np.concatenate([np.zeros(min(1, len(codes)), np.int64), change, np.full(min(1, len(codes)), len(codes))])
    starts, stops = edges[:-1], edges[1:]
    visible = kinds[starts] > 0 if len(starts) else np.zeros(0, dtype=bool)
    return starts[visible], stops[visible]


@cache
def _kinds() -> NDArray[np.uint8]:
    """0 for blanks, 1 for letters and digits, 2 for all else, by code point."""
    letters = np.fromiter((chr(code).isalnum() for code in range(0x110000)), dtype=bool, count=0x110000)
    kinds = np.where(letters, 1, 2).astype(np.uint8)
    kinds[[code for code in range(0x3001) if chr(code).isspace()]] = 0
    return kinds


def _pairs(starts: Integers, stops: Integers, owners: Integers) -> list[tuple[Integers, Integers, int]]:
    same = owners[starts[:-1]] == owners[starts[1:]] if len(starts) else np.zeros(0, dtype=bool)
    return [(starts[:-1][same], stops[1:][same], 2)]


def _grams(starts: Integers, stops: Integers) -> list[tuple[Integers, Integers, int]]:
    """2- to 5-grams of each word with one character on either side."""
    lefts, rights = starts - 1, stops + 1
    return [_windows(lefts, rights, size) for size in (2, 3, 4, 5)]


def _windows(lefts: Integers, rights: Integers, size: int) -> tuple[Integers, Integers, int]:
    counts = np.maximum(rights - lefts - size + 1, 0)
    ends = np.cumsum(counts)
    offset = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
    begin = np.repeat(lefts, counts) + offset
    return begin, begin + size, 10 + size


def _counted(owner: Integers, buckets: Words, texts: int) -> Bags:
    keys, counts = np.unique(owner * BUCKETS + buckets.astype(np.int64), return_counts=True)
    starts = np.searchsorted(keys, np.arange(texts + 1) * BUCKETS)
    return Bags(keys % BUCKETS, counts.astype(np.float64), starts.astype(np.int64))
