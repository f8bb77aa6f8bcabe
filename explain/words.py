"""A text cut into the units that are explained: words, or sentences and stretches of words where it is long.

Every character belongs to one unit's segment (the unit and what follows it up to the next; the first also has what stands
before it), so hiding units leaves a text that reads on, and hiding none leaves the text itself.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress, pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contract.predictors import Floats, TextModel
from contract.records import Row
from explain.errors import ItemUnreadable
from explain.sliced import Joined
from explain.target import Target, once_each

WORDS = 200
"""At most so many words are explained one by one."""
SENTENCES = range(8, 101)
"""So many sentences are explained one by one where there are more words."""
STRETCHES = 80
"""Else the words in about so many stretches of equal length."""
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_SENTENCE = re.compile(r"\S(?:.*?)(?:[.!?](?=\s)|[。！？]|(?=\n)|\Z)", re.DOTALL)
_SOLID = re.compile(r"\S+")
Span = tuple[int, int]


@dataclass(frozen=True)
class Units:
    """`spans` [(start, end), ...] in reading order, and the segments that the text falls into, one for each."""

    text: str
    kind: Literal["word", "sentence", "stretch"]
    spans: tuple[Span, ...]
    segments: tuple[str, ...]

    def kept(self, places: Iterable[int]) -> str:
        """The text with only these units, given in reading order."""
        return "".join([self.segments[place] for place in places])

    def contributions(self, weights: Floats) -> list[dict[str, Any]]:
        return [
            {"start": start, "end": end, "text": self.text[start:end], "contribution": float(weight)}
            for (start, end), weight in zip(self.spans, weights, strict=True)
        ]


def text_of(row: Row, feature: str) -> str:
    """The text to explain. Raises ItemUnreadable where it is missing."""
    text = row.get(feature)
    if not isinstance(text, str):
        raise ItemUnreadable("This item has no text.")
    return text


@dataclass(frozen=True, slots=True)
class Left:
    """Copies of a text with units left out, made slice by slice from (n, units) of which are there."""

    parts: Units
    shown: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.shown)

    def __getitem__(self, part: slice) -> list[str]:
        segments = self.parts.segments
        return ["".join(compress(segments, each)) for each in self.shown[part].tolist()]


def answered(model: TextModel, questions: Sequence[Left]) -> Floats:
    """(n, k) probabilities of what several texts ask of a chunked model."""
    texts: Any = Joined(questions)
    return model.text_probabilities(texts)


def text_target(model: TextModel, label: str) -> Target:
    """The label's probability as a function of n texts."""
    return Target(once_each(lambda texts: model.text_probabilities(texts)), model.labels, label)


def units(text: str) -> Units:
    """Words where they are few enough, else sentences, else stretches of words. Raises ItemUnreadable for a blank text."""
    words = _words(text) or [match.span() for match in _SOLID.finditer(text)]
    if not words:
        raise ItemUnreadable("The text is empty, so there is nothing to explain.")
    if len(words) <= WORDS:
        return _cut(text, "word", words)
    sentences = [(match.start(), len(match.group().rstrip()) + match.start()) for match in _SENTENCE.finditer(text)]
    if len(sentences) in SENTENCES:
        return _cut(text, "sentence", sentences)
    return _cut(text, "stretch", _stretches(words))


def _words(text: str) -> list[Span]:
    """Runs of letters, digits and their marks; a letter of a script without spaces, and a symbol (😀 £ +), stand alone."""
    spans: list[Span] = []
    last = ""
    for place, character in enumerate(text):
        kind = _kind(character)
        if kind in ("word", "mark") and last == "word":
            spans[-1] = (spans[-1][0], place + 1)
        elif kind == "mark" and last in ("letter", "symbol"):
            spans[-1] = (spans[-1][0], place + 1)
            continue
        elif kind:
            spans.append((place, place + 1))
        last = "word" if kind == "mark" else kind
    return spans


def _kind(character: str) -> str:
    if character.isascii():
        return "word" if character.isalnum() or character == "_" else "symbol" if character in "$+<=>^`|~" else ""
    category = unicodedata.category(character)[0]
    if category == "M":
        return "mark"
    if category in "LN":
        return "letter" if _UNSPACED.match(character) else "word"
    return "symbol" if category == "S" else ""


def _stretches(words: Sequence[Span]) -> list[Span]:
    size = -(-len(words) // STRETCHES)
    return [(words[first][0], words[min(first + size, len(words)) - 1][1]) for first in range(0, len(words), size)]


def _cut(text: str, kind: Literal["word", "sentence", "stretch"], spans: Sequence[Span]) -> Units:
    starts = [0, *(start for start, _ in spans[1:]), len(text)]
    return Units(text, kind, tuple(spans), tuple(text[a:b] for a, b in pairwise(starts)))
