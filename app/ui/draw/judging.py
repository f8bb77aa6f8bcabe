"""Whether people judge or nod, person by person: shares with their exact intervals, times before and after the prediction."""

from collections.abc import Callable

from app.ui.draw.numbers import Head, Table
from app.ui.formats import count, number, percent, text
from review_queue.judging import FEW, WEEKS, Both, Figures, Judging, Share, Week
from review_queue.pace import Quantile

NAME = "judging"
"""What the figures are called as a file."""
COLUMNS = (
    "person",
    "sees errors",
    "agrees with a wrong prediction",
    "agrees with a right prediction",
    "goes over to the prediction",
    "median seconds",
    "agrees, week by week",
)
HOW = (
    (
        "Known answers",
        "Cases whose answer is known are mixed into everybody's work by a secret draw, unseen and blind, and never twice to one "
        "person: what a dispute was settled as, and what an owner named.",
    ),
    (
        "Sees errors",
        "Of known cases with a wrong prediction: blind first answers that differ from it. One minus this is how often a spot "
        "check would have missed an error.",
    ),
    (
        "Agrees with a wrong or a right prediction",
        "The same known cases before the prediction was shown and after it. What rises between the two is its pull. Settled "
        "disputes do not count here: only answers that differ from the prediction come to be disputed.",
    ),
    (
        "Goes over",
        "Of blind answers that differed from the prediction, those that were changed to it once it was shown, where it was wrong "
        "and where it was right; settled disputes count too. Where it is right this is the relative AI reliance, where it is "
        "wrong one minus the relative self-reliance of Schemmer et al. (2023), Appropriate Reliance on AI Advice.",
    ),
    (
        "Seconds",
        "Medians; before: until the blind first answer. After: from the prediction to the final answer. Shown: of cases "
        "that were not blind. Between which values they lie is told by the exact binomial distribution of ranks.",
    ),
    (
        "Week by week",
        f"Final answers that are the prediction, of all that a rule or a draw brought, in the last {WEEKS} weeks of work.",
    ),
    (
        "Intervals",
        f"95 %, exact (Clopper and Pearson 1934). A share of fewer than {FEW} cases is not shown as a figure.",
    ),
)
"""What each figure is, by method and source."""
HEAD: Head = (
    ("person", "text"),
    ("figure", "text"),
    ("cases", "count"),
    ("of", "count"),
    ("share", "share"),
    ("low", "share"),
    ("high", "share"),
    ("value", "number"),
)


def people(found: Judging) -> str:
    """All of them, as a table that narrow screens show as cards."""
    titles = "".join(f'<th scope="col" role="columnheader">{text(each)}</th>' for each in COLUMNS)
    rows = "".join(map(_row, found.people))
    return (
        '<div class="so-scroll" tabindex="0" role="region" aria-label="How people judge"><table class="so-grid so-judging" '
        f'role="table"><thead role="rowgroup"><tr role="row">{titles}</tr></thead><tbody role="rowgroup">{rows}</tbody></table>'
        "</div>"
    )


def how() -> str:
    """What each figure is, and where its method comes from."""
    told = "".join(f"<dt>{text(name)}</dt><dd>{text(sentence)}</dd>" for name, sentence in HOW)
    return f'<details class="so-how"><summary>How these figures are made</summary><dl class="so-guide">{told}</dl></details>'


def _row(found: Figures) -> str:
    cells = (
        _share(found.caught),
        _both(found.wrong),
        _both(found.right),
        _named("wrong", found.to_wrong) + _named("right", found.to_right),
        _times(found),
        _trend(found.weeks),
    )
    body = "".join(
        f'<td role="cell" data-label="{text(name)}">{cell}</td>' for name, cell in zip(COLUMNS[1:], cells, strict=True)
    )
    return f'<tr role="row"><th scope="row" role="rowheader">{text(found.person)}{_known(found)}</th>{body}</tr>'


def _known(found: Figures) -> str:
    right = "" if found.correct.before.is_few else f", {percent(found.correct.before.value)} right blind"
    return f"<small>{count(found.gold, 'known answer')}{right}</small>"


def _both(found: Both) -> str:
    return _named("blind", found.before) + _named("after", found.after)


def _named(name: str, share: Share) -> str:
    return f'<div class="so-half"><small>{name}</small>{_share(share)}</div>'


def _share(share: Share) -> str:
    if share.is_few or share.value is None or share.interval is None:
        return f'<span class="so-few">{_few(share)}</span>'
    low, high = share.interval
    picture = (
        f'<span class="so-interval so-share" aria-hidden="true"><i style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%">'
        f'</i><b style="left:{100 * share.value:.1f}%"></b></span>'
    )
    between = f"{number(share.part)} of {number(share.of)}, {percent(low)} to {percent(high)}"
    return f'<span class="so-cell"><b>{percent(share.value)}</b>{picture}<small>{between}</small></span>'


def _few(share: Share) -> str:
    return f"too few: {count(share.of, 'case')}" if share.of else "no cases yet"


def _times(found: Figures) -> str:
    held = (("before", found.before), ("after", found.after), ("shown", found.seen))
    return "".join(f'<div class="so-half"><small>{name}</small>{_seconds(took)}</div>' for name, took in held)


def _seconds(took: Quantile) -> str:
    if took.value is None:
        return '<span class="so-few">no times yet</span>'
    between = "" if took.low is None or took.high is None else f"<small>{took.low:.1f} to {took.high:.1f}</small>"
    return f'<span class="so-cell"><b>{took.value:.1f} s</b>{between}</span>'


def _trend(weeks: tuple[Week, ...]) -> str:
    if not weeks:
        return '<span class="so-few">no cases yet</span>'
    bars = "".join(f'<i style="height:{100 * (each.agreed.value or 0.0):.0f}%"></i>' for each in weeks)
    listed = "; ".join(f"week of {each.monday}: {_told(each.agreed)}" for each in weeks)
    last = weeks[-1]
    return (
        f'<span class="so-weeks" role="img" aria-label="{text(listed)}" title="{text(listed)}">{bars}</span>'
        f"<small>{_told(last.agreed)} in the week of {last.monday}</small>"
    )


def _told(share: Share) -> str:
    if share.is_few or share.interval is None:
        return _few(share)
    low, high = share.interval
    return f"{percent(share.value)} of {number(share.of)} ({percent(low)} to {percent(high)})"


def table(found: Judging) -> Table:
    """The same as rows of a file, one a figure."""
    rows = tuple(row for each in found.people for row in _rows(each))
    return Table(NAME, "How people judge", HEAD, rows)


_Cells = tuple[str, str, int | None, int | None, float | None, float | None, float | None, float | None]
_SHARES: tuple[tuple[str, Callable[[Figures], Share]], ...] = (
    ("caught errors on known answers", lambda each: each.caught),
    ("agrees with a wrong prediction, blind", lambda each: each.wrong.before),
    ("agrees with a wrong prediction, after it was shown", lambda each: each.wrong.after),
    ("agrees with a right prediction, blind", lambda each: each.right.before),
    ("agrees with a right prediction, after it was shown", lambda each: each.right.after),
    ("known answer given, blind", lambda each: each.correct.before),
    ("known answer given, after the prediction was shown", lambda each: each.correct.after),
    ("went over to a wrong prediction", lambda each: each.to_wrong),
    ("went over to a right prediction", lambda each: each.to_right),
)


def _rows(found: Figures) -> list[_Cells]:
    shares = [_cells(found.person, name, share(found)) for name, share in _SHARES]
    weeks = [_cells(found.person, f"agrees, week of {each.monday}", each.agreed) for each in found.weeks]
    times: list[_Cells] = [
        (found.person, f"median seconds {name}", None, None, None, None, None, took.value)
        for name, took in (("before", found.before), ("after", found.after), ("shown", found.seen))
    ]
    return [*shares, *weeks, *times]


def _cells(person: str, name: str, share: Share) -> _Cells:
    low, high = share.interval or (None, None)
    return (person, name, share.part, share.of, share.value, low, high, None)
