"""What waits, as rows and sentences: how late it is, who has it, and what nobody here may take."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from app.ui import formats
from app.ui.formats import text
from contract.project import Project
from review_queue import stuck
from review_queue.insights import Backlog, Waiting

LATE_HEAD = ("due", "state", "age")
OPEN_HEAD = ("age", "due", "state", "skipped")


def cards(backlog: Backlog, now: datetime, *, worst: Waiting | None) -> list[tuple[str, str, str]]:
    """The figures that say whether the queue is well: the number, what it counts, and a word beside it."""
    late = f"the latest by {formats.span(now - worst.due_at)}" if worst and worst.due_at else "nothing is late"
    age = formats.span(now - backlog.oldest) if backlog.oldest else "–"
    return [
        (formats.upto(backlog.overdue), "overdue", late if backlog.overdue else "nothing is late"),
        (formats.upto(backlog.soon_due), "due soon", "not late yet"),
        (formats.number(backlog.waiting), "waiting", f"{formats.upto(backlog.waiting_for_leads)} for leads"),
        (formats.upto(backlog.held), "held by somebody", "being looked at now"),
        (formats.upto(backlog.parked), "parked", "put aside for now"),
        (formats.upto(backlog.stuck), "stuck", "nobody here may take them"),
        (age, "the oldest", "since it was routed"),
        (formats.number(backlog.unscored), "not scored yet", "they come by themselves"),
    ]


def late(found: Sequence[Waiting], now: datetime) -> list[tuple[str, ...]]:
    """A row for each task that is overdue or due soon, of HTML: id, how late, state, age."""
    return [(_id(each.external_id), _lateness(each, now), _state(each), formats.span(now - each.since)) for each in found]


def open_(found: Sequence[Waiting], now: datetime, project: Project) -> list[tuple[str, ...]]:
    """A row for each open task, of HTML: id, age, when it is due, state, skips."""
    return [
        (
            _id(each.external_id),
            formats.span(now - each.since),
            formats.moment(each.due_at, project.zone),
            _state(each),
            str(each.skips or "–"),
        )
        for each in found
    ]


def stuck_list(by: Mapping[str, int]) -> str:
    """What nobody here may take and what to do about it, a line for each kind; empty where there is none."""
    lines = "".join(
        f"<li><b>{formats.upto(by[why])}</b> {text(formats.plural(what) if by[why] > 1 else what)}: {_code(mend)}.</li>"
        for why, (what, mend) in stuck.SAYS.items()
        if by.get(why)
    )
    return f'<ul class="so-list so-stuck">{lines}</ul>' if lines else ""


def _code(mend: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text(mend))


def _id(external_id: str) -> str:
    return f"<bdi>{text(external_id)}</bdi>"


def _lateness(each: Waiting, now: datetime) -> str:
    if each.due_at is None:
        return "–"
    if each.due_at < now:
        return f'<span class="so-late">{formats.span(now - each.due_at)} late</span>'
    return f"in {formats.span(each.due_at - now)}"


def _state(each: Waiting) -> str:
    if each.held_by is not None:
        return f"held by {text(each.held_by)}"
    return {"pending": "waits", "parked": "parked"}.get(each.state, "held") + (" for a lead" if each.audience == "leads" else "")
