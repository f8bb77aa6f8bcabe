"""Why, for a text: the words, sentences or stretches that speak for or against, marked where they stand."""

from collections.abc import Mapping, Sequence
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
SCROLLS = 600
"""Characters from which on a text may be longer than its room."""
LISTED, SHORT = 5, 90
"""Parts in that list, and characters shown of each."""


def words(given: str, reasons: Sequence[Reason], view: View = PLAIN) -> str:
    """The text once per method, with the parts marked that speak for or against; plain where all methods are unstable.

    A long one has its strongest parts before it, and begins where its strongest part is, unless that would take away what
    somebody is reading.
    """
    firm = [reason for reason in usable(reasons) if not reason.doubt]
    moves = view.full or not view.late
    drawn = "".join(_section(given, reason, moves=moves) for reason in firm)
    if not firm:
        drawn = _method(head(doubted(reasons)[0]) if doubted(reasons) else "", passage(given))
    return drawn + unfold(reasons, lambda r: _section(given, r, moves=True))


def waiting(given: str) -> str:
    """The text where it stands once there are reasons, before there are any."""
    return _method("", passage(given))


def _section(given: str, reason: Reason, *, moves: bool) -> str:
    ranks = _ranks(reason)
    before = _jumps(len(ranks)) if len(given) >= SCROLLS and len(ranks) > 1 else ""
    if len(given) >= LONG and moves:
        before += strongest(reason)
    return _method(head(reason), before + _marked(given, reason, ranks, moves=moves))


def _ranks(reason: Reason) -> dict[int, int]:
    """From where a marked part begins to its place among them, the strongest first, from 1."""
    parts = reason.body["contributions"]
    most = max((abs(part["contribution"]) for part in parts), default=0.0)
    marked = [part for part in parts if most and abs(part["contribution"]) >= LEAST * most and str(part["text"]).strip()]
    marked.sort(key=lambda part: -abs(part["contribution"]))
    return {int(part["start"]): rank for rank, part in enumerate(marked, 1)}


def _jumps(count: int) -> str:
    """The buttons that lead from mark to mark, the strongest first."""
    back = '<button type="button" data-act="mark-back" aria-label="to the stronger mark">↑</button>'
    on = '<button type="button" data-act="mark-on" aria-label="to the next weaker mark">↓</button>'
    return (
        f'<p class="so-tools">{back}{on}<span role="status" data-marks>{formats.count(count, "mark")}, strongest first</span></p>'
    )


def _method(named: str, drawn: str) -> str:
    return f'<section class="so-method"><h3>{named or "&nbsp;"}</h3>{drawn}</section>'


def strongest(reason: Reason) -> str:
    """The strongest parts of a long text, so that nobody has to look for them; each leads to where it stands."""
    parts = sorted(reason.body["contributions"], key=lambda part: -abs(part["contribution"]))[:LISTED]
    rows = "".join(_listed(rank, part) for rank, part in enumerate(parts, 1) if part["contribution"])
    return f'<ul class="so-strongest">{rows}</ul>' if rows else ""


def _listed(rank: int, part: dict[str, Any]) -> str:
    said = " ".join(str(part["text"]).split())
    short = said if len(said) <= SHORT else said[:SHORT].rsplit(" ", 1)[0] + "…"
    kind = "so-pro" if part["contribution"] > 0 else "so-con"
    said = f'<button type="button" data-act="mark" data-to="{rank}"><bdi>{text(short)}</bdi></button>'
    return f'<li><b class="so-num {kind}">{formats.signed(part["contribution"])}</b> {said}</li>'


def _marked(given: str, reason: Reason, ranks: Mapping[int, int], *, moves: bool) -> str:
    parts = sorted(reason.body["contributions"], key=lambda part: part["start"])
    most = max((abs(part["contribution"]) for part in parts), default=0.0)
    out, at = [], 0
    for part in parts:
        start, end = max(at, int(part["start"])), int(part["end"])
        if end > start:
            mark = _mark(given[start:end], float(part["contribution"]), most, ranks.get(int(part["start"])))
            out += [text(given[at:start]), mark]
            at = end
    begins = " data-strongest" if moves else ""
    scrolls = f' tabindex="0" role="group" aria-label="the text with its marks"{begins}' if len(given) >= SCROLLS else ""
    return f'<div class="so-text so-marked" dir="auto"{scrolls}>{"".join(out)}{text(given[at:])}</div>'


def _mark(word: str, weight: float, most: float, rank: int | None) -> str:
    if rank is None:
        return text(word)
    share, kind, sign = abs(weight) / most, *(("so-pro", "+") if weight > 0 else ("so-con", "−"))
    wide = " so-stretch" if " " in word.strip() else ""
    strong = f'<sup aria-hidden="true">{sign}</sup>' if share >= SIGNED else ""
    shade = f'style="--a:{20 + 50 * share:.0f}%" data-rank="{rank}"'
    return f'<mark class="{kind}{wide}" {shade} title="{formats.signed(weight)}">{text(word)}{strong}</mark>'
