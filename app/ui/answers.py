"""Which labels stand as buttons, and the key of each. Knows no screen."""

from dataclasses import dataclass, replace

from app.ui.draw.prediction import ranked
from contract.project import DESK_KEYS, Project
from review_queue.cases import Predicted

MOST = 12
"""Labels up to which each has its button."""
PROBABLE = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """A label that a person may give, with the key it answers to."""

    label: str
    title: str
    key: str | None


def keys(project: Project) -> dict[str, str]:
    """The keys that a browser tells apart: letters and digits, upper and lower case alike, none of the desk's own.

    Where labels are many, none has a key by its position: what stands first in a list is not what is meant.
    """
    held: dict[str, str] = {}
    many = len(project.labels) > MOST
    for label, key in project.label_keys().items():
        if many and key not in (label, project.labels[label].key):
            continue
        small = key.lower()
        if len(small) == 1 and small.isalnum() and small not in DESK_KEYS and small not in held.values():
            held[label] = small
    return held


def everything(project: Project) -> list[Answer]:
    """All labels in the project's order."""
    known = keys(project)
    return [Answer(label, project.title_of(label), known.get(label)) for label in project.labels]


def buttons(project: Project, predicted: Predicted | None) -> list[Answer]:
    """Labels with a button: all where they are few; else the most probable, under 1 to 5 where they have no key of their own,
    or, before a first answer, those with a key."""
    every = everything(project)
    if len(every) <= MOST:
        return every
    if predicted is None or not predicted.probabilities:
        return [each for each in every if each.key][:MOST]
    near = [label for label, _ in ranked(predicted)[:PROBABLE]]
    shown = sorted((each for each in every if each.label in near), key=lambda each: near.index(each.label))
    taken = set(keys(project).values())
    return [replace(each, key=each.key or _digit(n, taken)) for n, each in enumerate(shown, 1)]


def _digit(n: int, taken: set[str]) -> str | None:
    return str(n) if str(n) not in taken else None


def unseen(project: Project, shown: list[Answer]) -> list[Answer]:
    """Labels that answer to a key without having a button."""
    named = {each.label for each in shown}
    return [each for each in everything(project) if each.key and each.label not in named]
