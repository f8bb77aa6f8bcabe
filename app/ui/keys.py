"""Which key does what at the desk: a person's choice, the labels' keys, and the usual ones. Knows no screen."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.ui import answers
from contract.project import Project

STREAMLIT = frozenset("cr")
"""Keys that Streamlit keeps for itself."""
CONFIRM = "ctrl+enter"
"""Presses the button that goes on, and sends what is being filled in, from within a field too; Cmd on a Mac."""


@dataclass(frozen=True, slots=True)
class Action:
    """What a key does. `spare`: a label may have its key, and then it has none. `moves`: a person may choose another."""

    name: str
    key: str
    says: str
    spare: bool = False
    moves: bool = True


ACTIONS = (
    Action("accept", "a", "accept, or keep your first answer"),
    Action("reject", "x", "reject: no label fits"),
    Action("choose", "m", "choose among all labels, by typing"),
    Action("skip", "s", "skip: somebody else gets it"),
    Action("escalate", "e", "escalate to a lead"),
    Action("park", "p", "park: until a day, or until it changes"),
    Action("flag", "f", "flag for a later look; again: take the flag down"),
    Action("undo", "u", "undo your last decision or parking; in a choice: back"),
    Action("why", "w", "why, in full; again: less", spare=True),
    Action("runner_up", "y", "in full: why not the runner-up", spare=True),
    Action("overlay", "o", "reasons over the picture or text: off and on", spare=True),
    Action("search", "/", "find a field of this case", moves=False),
    Action("help", "?", "these keys", moves=False),
)
MOVABLE = tuple(action for action in ACTIONS if action.moves)
BY_NAME = {action.name: action for action in ACTIONS}


def keymap(project: Project, chosen: Mapping[str, str]) -> dict[str, str | None]:
    """The key of each action in a project, none of them twice. A label's key is the label's: who chose it for an action has the
    usual one there, or none where that is chosen for another."""
    labels = set(answers.keys(project).values())
    moved = {name: key for name, key in chosen.items() if name in BY_NAME and key not in labels}
    taken = {*labels, *moved.values()}
    usual = {action.name: None if action.key in taken else action.key for action in ACTIONS}
    return {name: moved.get(name, key) for name, key in usual.items()}


def check(chosen: Mapping[str, str]) -> dict[str, str]:
    """The choice without what is usual anyway. Raises ValueError, which names the action, the key and the mend."""
    moved = {name: key.strip().lower() for name, key in chosen.items() if key.strip().lower() != BY_NAME[name].key}
    for name, key in moved.items():
        if len(key) != 1 or not (key.isascii() and key.isalpha()) or key in STREAMLIT:
            raise ValueError(f"{key!r} cannot {BY_NAME[name].says}: choose a letter from a to z other than c and r")
    every = {action.name: moved.get(action.name, action.key) for action in ACTIONS}
    for name, key in every.items():
        twice = next((other for other, held in every.items() if held == key and other != name), None)
        if twice is not None:
            raise ValueError(f"{key!r} would both {BY_NAME[name].says} and {BY_NAME[twice].says}; choose another for one of them")
    return moved
