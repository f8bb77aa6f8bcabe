"""Similar cases: what people decided there, and how often against the model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from app.similar import Near, Neighbourhood
from app.ui import formats
from app.ui.formats import text
from contract.project import Project
from review_queue import clock

Given = Mapping[int, Mapping[str, Any]]
Thumbnail = Callable[[str], str | None]
SHORT = 140
"""Characters shown of a text."""


def panel(project: Project, found: Neighbourhood, given: Given, leading: Sequence[str], thumbnail: Thumbnail) -> str:
    """The nearest cases, nearest first. `leading`: the features to show of a table."""
    rows = "".join(_row(project, each, given.get(each.item_id, {}), leading, thumbnail) for each in found.cases)
    said = _answers(project, found) + _counted(found)
    space = f"near in {text(found.space)}; 1 is the same" if found.space else "1 is the same"
    return (
        f'<section class="so-more"><h3 class="so-title">Similar cases</h3><p class="so-note">{said}</p>'
        f'<ul class="so-near">{rows}</ul><p class="so-note">{space}</p></section>'
    )


def _answers(project: Project, found: Neighbourhood) -> str:
    """How the nearest were decided: the labels by number."""
    said = (f"<b>{n}</b> {'no label fits' if label is None else text(project.title_of(label))}" for label, n in found.answers)
    return f"{', '.join(said)}. " if found.answers else ""


def _counted(found: Neighbourhood) -> str:
    if not found.looked_at:
        return "People decided these; the model had no answer to them."
    of = "the nearest that people decided" if found.looked_at == 1 else f"the {found.looked_at} nearest that people decided"
    against = "none" if not found.disagreed else f"<b>{found.disagreed}</b>"
    return f"Of {of}, {against} went against the model."


def _row(project: Project, near: Near, given: Mapping[str, Any], leading: Sequence[str], thumbnail: Thumbnail) -> str:
    query = urlencode({"project": project.project, "id": near.external_id})
    link = f'<a href="find?{text(query)}" target="_blank"><bdi>{text(near.external_id)}</bdi></a>'
    ago = f"{formats.span(clock.now() - near.at)} ago"
    alike = f'<span class="so-num" title="similarity">{near.similarity:.2f}</span> <small>{ago}</small>'
    picture, said = glimpse(project, given, leading, thumbnail)
    kind = "so-against" if near.predicted is not None and near.decided != near.predicted else ""
    return f'<li class="{kind}">{picture}<div><p>{_decided(project, near)} {link} {alike}</p>{said}</div></li>'


def _decided(project: Project, near: Near) -> str:
    decided = "no label fits" if near.decided is None else text(project.title_of(near.decided))
    if near.predicted is None:
        return f"<b>{decided}</b>"
    if near.decided == near.predicted:
        return f"<b>{decided}</b> <small>as the model said</small>"
    return f"<b>{decided}</b> <small>the model said {text(project.title_of(near.predicted))}</small>"


def glimpse(project: Project, given: Mapping[str, Any], leading: Sequence[str], thumbnail: Thumbnail) -> tuple[str, str]:
    """A picture, and words: as little of the case as tells it apart."""
    features = project.input.features
    first = given.get(next(iter(features)))
    if project.input.type == "image":
        uri = thumbnail(str((first or {}).get("blob", "")))
        return (f'<img class="so-thumb" src="{text(uri)}" alt="">' if uri else ""), ""
    if project.input.type == "text":
        return "", f'<p class="so-glimpse" dir="auto">{text(_short(first or ""))}</p>'
    pairs = ((features[name].title or name, formats.value(given.get(name), features[name].unit)) for name in leading)
    said = " · ".join(f"{text(title)} <bdi>{text(_short(value))}</bdi>" for title, value in pairs)
    return "", f'<p class="so-glimpse">{said}</p>'


def _short(said: Any) -> str:
    whole = " ".join(str(said).split())
    return whole if len(whole) <= SHORT else whole[:SHORT].rsplit(" ", 1)[0] + "…"
