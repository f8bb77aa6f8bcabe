"""A tree of the phrases of a text, as `shap.maskers.Text` builds it: neighbours that belong together are joined first."""

import re
from collections.abc import Sequence
from itertools import pairwise

from explain.owen import Tree

_ENDS_BETWEEN = re.compile(r"^.*\W$")
_BEGINS_WITH_LETTER = re.compile(r"^[A-Za-z]")
OPENERS, CLOSERS = {"(": ")"}, {")": "("}
CONNECTORS = ("but", "and", "or")
ENDS = (".", "?", "!")


class Token:
    """`whole` says of a bracket that its other one is in the same phrase."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.whole = text not in OPENERS and text not in CLOSERS


Phrase = list[Token]


def phrases(segments: Sequence[str]) -> Tree:
    """The tree over the segments of a text, at least two, in reading order."""
    groups = [[Token(text)] for text in _tokens(segments)]
    numbers, halves = list(range(len(groups))), list[tuple[int, int]]()
    scores = [_together(*pair) for pair in pairwise(groups)]
    while scores:
        at = scores.index(max(scores))
        halves.append((numbers[at], numbers[at + 1]))
        numbers[at : at + 2] = [len(segments) + len(halves) - 1]
        joined = groups[at] + groups[at + 1]
        if joined[0].text in OPENERS and joined[-1].text == OPENERS[joined[0].text]:
            joined[0].whole = joined[-1].whole = True
        groups[at : at + 2] = [joined]
        around = range(max(at - 1, 0), min(at + 1, len(groups) - 1))
        scores[max(at - 1, 0) : at + 2] = [_together(groups[place], groups[place + 1]) for place in around]
    return Tree(len(segments), tuple(halves))


def _tokens(segments: Sequence[str]) -> list[str]:
    """Stripped; one that goes on within a word begins with ##."""
    tokens: list[str] = []
    for place, segment in enumerate(segments):
        inside = (
            place > 0
            and not _ENDS_BETWEEN.match(segments[place - 1])
            and _BEGINS_WITH_LETTER.match(segment)
            and tokens[place - 1] != ""
        )
        tokens.append("##" + segment.strip() if inside else segment.strip())
    return tokens


def _together(one: Phrase, other: Phrase) -> int:
    """How well two neighbouring phrases go together."""
    last, first = one[-1].text, other[0].text
    score = -(len(one) + len(other))
    score += 20 * first.startswith("##") + 15 * (first == "'" and _short(other)) + 15 * (last == "'" and first in ("t", "s"))
    score -= 1000 * (_control(one[0]) != _control(other[-1]))
    score -= 100 * (first in OPENERS and not other[0].whole) + 100 * (last in CLOSERS and not one[-1].whole)
    score -= 2 * (one[0].text in OPENERS) + 2 * (last in CONNECTORS or first in CONNECTORS)
    score -= 10 * (last == ",") + 20 * (last in ENDS)
    score -= (10 if len(other) > 1 else 1) * (first == ",") + (20 if len(other) > 1 else 1) * (first in ENDS)
    return score


def _short(phrase: Phrase) -> bool:
    return len(phrase) == 1 or (len(phrase) == 2 and phrase[1].text in ("t", "s"))


def _control(token: Token) -> bool:
    return token.text.startswith("[") and token.text.endswith("]")
