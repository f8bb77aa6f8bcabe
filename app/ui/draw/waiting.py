"""What waits, as rows and sentences: how late it is, who has it, and what nobody here may take."""

import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from app.ui import formats
from app.ui.formats import text
from contract.project import Project
from review_queue import stuck
from review_queue.bulk import LEFT, Act, Counted, Seen, Wish
from review_queue.filters import WHYS, Filter
from review_queue.flags import Flagged
from review_queue.insights import Backlog
from review_queue.lists import Row, Words
from review_queue.projects import Setting


def cards(backlog: Backlog, now: datetime, *, worst: Row | None) -> list[tuple[str, str, str]]:
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


def row(each: Row, setting: Setting, zone: ZoneInfo, now: datetime) -> str:
    """One open task as HTML: its id, then what is known of it, the most pressing first."""
    said = [_lateness(each, now), _state(each), f"waits for {formats.span(now - each.since)}", *_whose(each, zone)]
    if each.label is not None:
        said.append(f"predicted {text(setting.project.title_of(each.label))}, {formats.percent(each.confidence)}")
    said += [f"skipped {formats.count(each.skips, 'time')}"] if each.skips else []
    said += ["flagged by you"] if each.flagged else []
    return f"<span>{_link(each.external_id, setting)} <small>{' · '.join(part for part in said if part)}</small></span>"


def words(said: Words, zone: ZoneInfo) -> str:
    """Why somebody left a case to leads, as they said it."""
    told = "".join(f" · <bdi>{text(part)}</bdi>" for part in (said.reason, said.comment) if part)
    return f'<small class="so-words">{text(said.person)}, {formats.moment(said.at, zone)}{told or " · no word"}</small>'


def flag(each: Flagged, setting: Setting, zone: ZoneInfo) -> str:
    """One flag as HTML."""
    note = f" · <bdi>{text(each.note)}</bdi>" if each.note else ""
    said = f"by {text(each.person)}, {formats.moment(each.since, zone)}{note}"
    return f"<span>{_link(each.external_id, setting)} <small>{said}</small></span>"


def in_words(held: Filter, project: Project) -> str:
    """A filter as the end of a sentence."""
    said = []
    if held.labels:
        said.append("predicted " + " or ".join(project.title_of(label) for label in held.labels))
    if held.least is not None or held.most is not None:
        said.append("with a confidence " + _between(held.least, held.most))
    if held.why:
        said.append("sent to people because of " + " or ".join(WHYS[each][0] for each in held.why))
    said += [f"with {name} {value}" for name, value in held.groups]
    said += [f"of {held.person}"] if held.person else []
    said += [f"waiting longer than {formats.span(held.older)}"] if held.older else []
    said += [f"waiting less than {formats.span(held.newer)}"] if held.newer else []
    said += [f"with “{held.text}” in them"] if held.text else []
    return text("cases " + ", ".join(said))


def preview(counted: Counted, wish: Wish, setting: Setting, now: datetime, seen: Mapping[int, str]) -> str:
    """What an act over many cases would do: how many, a few of them, and who is left out. `seen`: some of each case, HTML."""
    project = setting.project
    answer = {"accept": "accepted as predicted", "reject": "rejected"}.get(wish.verdict)
    answer = answer or f"corrected to {project.title_of(wish.label or '')}"
    because = f", reason: {wish.reason}" if wish.reason else ""
    more = " or more" if counted.after is not None else ""
    lines = "".join(f"<li>{_sampled(each, setting, now)}{seen.get(each.item_id, '')}</li>" for each in counted.sample)
    left = "".join(f"<li><b>{formats.number(n)}</b> {text(LEFT[why])}</li>" for why, n in sorted(counted.left.items()))
    return (
        f'<p class="so-counted"><b>{formats.count(counted.fit, project.noun)}</b>{more} would be {text(answer + because)}.</p>'
        + (f'<ul class="so-list so-queue" aria-label="Some of them">{lines}</ul>' if lines else "")
        + (f'<p class="so-note">Left out{more and ", so far"}:</p><ul class="so-list">{left}</ul>' if left else "")
    )


def act(each: Act, setting: Setting, zone: ZoneInfo, now: datetime) -> str:
    """An act over many cases of before, as HTML."""
    project, of = setting.project, "" if each.done == each.asked else f" of {formats.number(each.asked)}"
    said = {"accept": "accepted", "reject": "rejected", "correct": f"corrected to {project.title_of(each.label or '')}"}[
        each.verdict
    ]
    line = f"{formats.number(each.done)}{of} {said} by {each.person}, {formats.moment(each.made_at, zone)}"
    if each.undone_at is not None:
        half = ", not to the end yet" if each.is_half_undone else ""
        return f"<span>{text(line)} <small>taken back {formats.moment(each.undone_at, zone)}{half}</small></span>"
    if now < each.safe_until:
        return f"<span>{text(line)} <small>leaves the house in {formats.span(each.safe_until - now)}</small></span>"
    return f"<span>{text(line)} <small>has left the house</small></span>"


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


def _sampled(each: Seen, setting: Setting, now: datetime) -> str:
    said = f"waits for {formats.span(now - each.since)}"
    if each.label is not None:
        said = f"predicted {text(setting.project.title_of(each.label))}, {formats.percent(each.confidence)} · {said}"
    return f"<span>{_link(each.external_id, setting)} <small>{said}</small></span>"


def _link(external_id: str, setting: Setting) -> str:
    """The id, which leads to its record."""
    to = urlencode({"project": setting.name, "id": external_id})
    return f'<a href="/find?{text(to)}" target="_self"><bdi>{text(external_id)}</bdi></a>'


def _between(least: float | None, most: float | None) -> str:
    if most is None:
        return f"of {least:g} or more"
    return f"of {most:g} or less" if least is None else f"from {least:g} to {most:g}"


def _whose(each: Row, zone: ZoneInfo) -> list[str]:
    if each.assigned_to is None:
        return []
    until = f" until {formats.moment(each.assigned_until, zone)}" if each.assigned_until else ""
    return [f"for {text(each.assigned_to)} alone{until}"]


def _lateness(each: Row, now: datetime) -> str:
    if each.due_at is None:
        return ""
    if each.due_at < now:
        return f'<b class="so-late">{formats.span(now - each.due_at)} late</b>'
    return f"due in {formats.span(each.due_at - now)}"


def _state(each: Row) -> str:
    """Whose turn it is; a case that waits for anybody says nothing."""
    if each.held_by is not None:
        return f"held by {text(each.held_by)}"
    return {"parked": "parked", "in_progress": "held"}.get(each.state, "for a lead" if each.audience == "leads" else "")
