"""Looks for drift, newest first: what was tested, what strayed, and how far, as two strips."""

from collections.abc import Callable, Sequence
from datetime import datetime

from app.ui import formats
from app.ui.formats import number, percent, text
from contract.policy import Policy
from review_queue.drift import Kept, Moved

HEAD = ("looked at", "cases", "tested", "strayed")
SHOWN = 8
"""Looks, and of one look what strayed, at most."""
NONE = "No look yet: the first comes with {every} cases of the acting model."
OFF = "Drift is not looked for: the policy says <code>drift: off</code>."
LIMITS = (
    "Inputs and scores can stray without more errors, and errors can grow without any of them straying: how often the model errs "
    "is for the spot checks to say."
)
DUMB = (
    "The policy keeps the strange from acting alone, and the acting model cannot tell what is strange: it shows no view of its "
    "inputs, or was judged by too few rows. Nothing is kept back for it."
)


def section(found: Sequence[Kept], policy: Policy, ordinary: int | None, when: Callable[[datetime], str]) -> str:
    """The looks with the pictures of the latest alarm. `ordinary`: cases by which the model tells the strange; None: unknown."""
    told = f'<p class="so-line so-note">{DUMB}</p>' if policy.automate.strange != "off" and ordinary == 0 else ""
    if policy.drift == "off":
        return f'{told}<p class="so-line so-note">{OFF}</p>'
    if not found:
        return f'{told}<p class="so-line so-note">{NONE.format(every=number(policy.drift.every))}</p>'
    alarmed = next((each for each in found if each.alarmed), None)
    pictures = _pictures(alarmed, when) if alarmed is not None else ""
    return f'{told}{pictures}{_table(found[:SHOWN], when)}<p class="so-line so-note">{LIMITS}</p>'


def _table(found: Sequence[Kept], when: Callable[[datetime], str]) -> str:
    head = "".join(f'<th scope="col">{each}</th>' for each in HEAD)
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _cells(each, when))}</tr>" for each in found)
    caption = '<caption class="so-note">The latest looks for drift</caption>'
    return f'<table class="so-table">{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _cells(each: Kept, when: Callable[[datetime], str]) -> tuple[str, str, str, str]:
    strayed = ", ".join(text(moved.called) for moved in each.moved if moved.alarmed)
    first = "" if each.moved else "began the comparison"
    return when(each.made_at), number(each.n), str(len(each.moved)), strayed or first or "–"


def _pictures(alarmed: Kept, when: Callable[[datetime], str]) -> str:
    strayed = [each for each in alarmed.moved if each.alarmed]
    drawn = "".join(map(_picture, strayed[:SHOWN]))
    more = f"<p class='so-note'>and {len(strayed) - SHOWN} more</p>" if len(strayed) > SHOWN else ""
    return (
        f'<p class="so-line">Strayed on {when(alarmed.made_at)}, each as a share of the cases then and before:</p>{drawn}{more}'
    )


def _picture(moved: Moved) -> str:
    where = f"at or below {formats.value(moved.at)}" if isinstance(moved.at, float) else f"{moved.at}"
    strips = "".join(_strip(name, share) for name, share in (("before", moved.was), ("now", moved.now)))
    return f'<div class="so-pair"><span class="so-taken">{text(moved.called)}<small>{text(where)}</small></span>{strips}</div>'


def _strip(name: str, share: float) -> str:
    said = f"{name} {percent(share, 1)}"
    drawn = f'<span class="so-strip so-share" style="--at:{100 * share:.1f}%" role="img" aria-label="{said}"></span>'
    return f"<span>{drawn}<small>{said}</small></span>"
