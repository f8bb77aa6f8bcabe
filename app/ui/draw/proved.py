"""What later proved true, as a table: who was right, and where the two differ."""

from collections.abc import Callable, Iterator

from app.ui.formats import count, number, percent, text
from review_queue.proved import Proved, Right

HEAD = ("cases", "the model was right", "people were right")
CAUTION = (
    "Of the cases whose truth became known, which are seldom a fair sample of all. In brackets: limits at 95 % confidence "
    "(Clopper and Pearson). People: of those that somebody answered."
)


def rows(found: Proved, title_of: Callable[[str], str]) -> Iterator[tuple[str, str, str]]:
    """A row for all, for what acted alone, for where the two differ, and for each label. Cells are HTML."""
    yield f"all <small>{number(found.n)}</small>", share(found.model), share(found.people)
    yield "acted alone", share(found.alone), "–"
    differing = found.differing
    yield f"the two differ <small>{number(differing.n)}</small>", share(differing.model), share(differing.people)
    for each in found.labels:
        title = "no label fits" if each.label is None else f"truly {title_of(each.label)}"
        yield f"{text(title)} <small>{number(each.n)}</small>", share(each.model), share(each.people)


def share(found: Right) -> str:
    """`93 % of 340 (90–96 %)`."""
    if found.low is None or found.high is None:
        return "–"
    limits = f"{100 * found.low:.0f}–{100 * found.high:.0f} %"
    return f"{percent(found.part / found.of)} <small>of {number(found.of)} ({limits})</small>"


def window(found: Proved) -> str:
    """What the figures rest on."""
    return CAUTION if found.whole else f"{CAUTION} Taken over the latest {count(found.n, 'case')}."
