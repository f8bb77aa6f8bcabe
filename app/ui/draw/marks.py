"""Why, for a text: the words, sentences or stretches that speak for or against, marked where they stand."""

from collections.abc import Sequence
from typing import Any

from app.ui import formats
from app.ui.draw.case import passage
from app.ui.draw.reasons import PLAIN, View, doubted, head, unfold, usable
from app.ui.formats import text
from review_queue.explanations import Reason

LEAST = 0.12
"""Share of the strongest from which on a part is marked."""
SIGNED = 0.3
"""Share from which on a mark carries its sign."""
LONG = 2_400
"""Characters from which on the strongest parts are listed before the text."""
LISTED, SHORT = 5, 90
"""Parts in that list, and characters shown of each."""


def words(given: str, reasons: Sequence[Reason], view: View = PLAIN) -> str:
    """The text once per method, with the parts marked that speak for or against; plain where all methods are unstable.

    A long one has its strongest parts before it, unless they would push down what somebody is reading.
    """
    firm = [reason for reason in usable(reasons) if not reason.doubt]
    listed = len(given) >= LONG and (view.full or not view.late)
    drawn = "".join(_section(given, reason, listed=listed) for reason in firm)
    if not firm:
        drawn = _method(head(doubted(reasons)[0]) if doubted(reasons) else "", passage(given))
    return drawn + unfold(reasons, lambda r: _section(given, r, listed=len(given) >= LONG))


def waiting(given: str) -> str:
    """The text where it stands once there are reasons, before there are any."""
    return _method("", passage(given))


def _section(given: str, reason: Reason, *, listed: bool) -> str:
    return _method(head(reason), (strongest(reason) if listed else "") + _marked(given, reason))


def _method(named: str, drawn: str) -> str:
    return f'<section class="so-method"><h4>{named or "&nbsp;"}</h4>{drawn}</section>'


def strongest(reason: Reason) -> str:
    """The strongest parts of a long text, so that nobody has to look for them."""
    parts = sorted(reason.body["contributions"], key=lambda part: -abs(part["contribution"]))[:LISTED]
    rows = "".join(_listed(part) for part in parts if part["contribution"])
    return f'<ul class="so-strongest">{rows}</ul>' if rows else ""


def _listed(part: dict[str, Any]) -> str:
    said = " ".join(str(part["text"]).split())
    short = said if len(said) <= SHORT else said[:SHORT].rsplit(" ", 1)[0] + "…"
    kind = "so-pro" if part["contribution"] > 0 else "so-con"
    return f'<li><b class="so-num {kind}">{formats.signed(part["contribution"])}</b> <bdi>{text(short)}</bdi></li>'


def _marked(given: str, reason: Reason) -> str:
    parts = sorted(reason.body["contributions"], key=lambda part: part["start"])
    most = max((abs(part["contribution"]) for part in parts), default=0.0)
    out, at = [], 0
    for part in parts:
        start, end = max(at, int(part["start"])), int(part["end"])
        if end > start:
            out += [text(given[at:start]), _mark(given[start:end], float(part["contribution"]), most)]
            at = end
    return f'<div class="so-text so-marked" dir="auto">{"".join(out)}{text(given[at:])}</div>'


def _mark(word: str, weight: float, most: float) -> str:
    share = abs(weight) / most if most else 0.0
    if share < LEAST or not word.strip():
        return text(word)
    kind, sign = ("so-pro", "+") if weight > 0 else ("so-con", "−")
    wide = " so-stretch" if " " in word.strip() else ""
    strong = f'<sup aria-hidden="true">{sign}</sup>' if share >= SIGNED else ""
    shade = f"--a:{20 + 50 * share:.0f}%"
    return f'<mark class="{kind}{wide}" style="{shade}" title="{formats.signed(weight)}">{text(word)}{strong}</mark>'
