"""Reasons that somebody asked for: what became of each, and how it looks."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.ui import formats
from app.ui.draw import bars, marks, overlays
from app.ui.draw import reasons as reasons_html
from app.ui.draw.reasons import Title
from app.ui.formats import text
from contract.project import Project
from review_queue.explanations import Asked, Reason


def states(asked: Sequence[Asked], title_of: Title) -> str:
    """A line for each that is not there: being made, or why there is none."""
    return "".join(_state(each, title_of) for each in asked if each.state != "done")


def _state(each: Asked, title_of: Title) -> str:
    name = f"<b>{text(formats.method(each.method))}</b> for {text(title_of(each.label))}{_numbers(each.params)}"
    if each.state == "waiting":
        return f'<p class="so-line so-note">{name} is being made; go on as you like, it comes here by itself.</p>'
    return f'<p class="so-line so-trouble">{name}: {text(each.problem)}</p>'


def _numbers(params: Mapping[str, Any]) -> str:
    return "".join(f", {formats.number(value)} {text(name)}" for name, value in params.items())


def section(
    project: Project, given: Mapping[str, Any], reason: Reason, beside: Reason | None, picture: tuple[str | None, bool]
) -> str:
    """One of them with its title and small print. `beside`: the same method for the predicted label, to compare with."""
    title = text(project.title_of(reason.label))
    name = f"Why not {title}?" if beside is not None else f"{reasons_html.heading(reason)} for {title}"
    drawn = _drawn(project, given, [reason] if beside is None else [beside, reason], picture)
    body = drawn if reasons_html.usable([reason]) else ""
    print_ = reasons_html.small_print([reason], project.title_of)
    return f'<section class="so-more so-case"><h3 class="so-title">{name}</h3>{body}{print_}</section>'


def _drawn(project: Project, given: Mapping[str, Any], found: Sequence[Reason], picture: tuple[str | None, bool]) -> str:
    first = given.get(next(iter(project.input.features)))
    if project.input.type == "image":
        return overlays.beside(picture[0], found, project.title_of, pixels=picture[1])
    if project.input.type == "text":
        return marks.words(str(first or ""), found[-1:])
    return bars.table(project, given, found)
