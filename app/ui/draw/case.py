"""A case as the person sees it: its values, its text, its images, and what is shown beside."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.ui import formats
from app.ui.draw.strips import strip
from app.ui.formats import text
from contract.project import Feature, Project, Shown
from review_queue.spreads import Spread

LONG = 160
"""Characters from which on a value is a passage to read, not a cell."""
MANY = 12
"""Fields from which on they can be searched."""
Images = Callable[[str], str | None]
"""From the name of a blob to a data URI; None where the store has no such picture."""


def values(project: Project, given: Mapping[str, Any], spread: Spread | None = None) -> str:
    """The features in the project's order, as a table; under their headings where it names groups."""
    return find(project) + "".join(_values(project, group, names, given, spread) for group, names in grouped(project))


def grouped(project: Project, names: Sequence[str] | None = None) -> list[tuple[str | None, list[str]]]:
    """Names of features (all of a project, or some in another order) by group, groups in the project's order. Those without
    a group come first."""
    features = project.input.features
    order = sorted(dict.fromkeys(feature.group for feature in features.values()), key=lambda group: group is not None)
    chosen = list(features) if names is None else names
    found = [(group, [name for name in chosen if features[name].group == group]) for group in order]
    return [(group, held) for group, held in found if held]


def fold(project: Project, group: str | None, count: int, drawn: str) -> str:
    """A group under its heading, which folds it away; whether it is open is remembered by the browser."""
    if group is None:
        return drawn
    summary = f"<summary><b>{text(group)}</b> <small>{formats.count(count, 'field')}</small></summary>"
    name = text(f"{project.project} {group}")
    return f'<details class="so-group" open data-fold="{name}">{summary}{drawn}</details>'


def find(project: Project) -> str:
    """A field by which many fields are searched; empty for few."""
    if len(project.input.features) < MANY:
        return ""
    field = (
        '<input type="search" data-act="search" aria-label="Find a field" placeholder="Find a field  ( / )" autocomplete="off">'
    )
    return f'<p class="so-find">{field}<span role="status" data-found></span></p>'


def _values(project: Project, group: str | None, names: Sequence[str], given: Mapping[str, Any], spread: Spread | None) -> str:
    rows = "".join(_value(name, project.input.features[name], given.get(name), spread) for name in names)
    return fold(project, group, len(names), f'<table class="so-values"><tbody>{rows}</tbody></table>')


def _value(name: str, feature: Feature, given: Any, spread: Spread | None) -> str:
    said = f"{cell(given, feature.unit)} {strip(spread, name, feature, given)}"
    return f'<tr data-field><th scope="row">{text(feature.title or name)}</th><td>{said}</td></tr>'


def cell(given: Any, unit: str | None = None) -> str:
    """One value; a missing one is said, a long one folds."""
    if given is None:
        return f'<span class="so-faint">{formats.MISSING}</span>'
    shown = formats.value(given, unit)
    if len(shown) <= LONG:
        return f'<bdi class="so-value">{text(shown)}</bdi>'
    whole = f'<div class="so-text" dir="auto">{text(shown)}</div>'
    rest = f"<details><summary>the whole text ({formats.number(len(shown))} characters)</summary>{whole}</details>"
    return f'<bdi class="so-value">{text(shown[:LONG])}…</bdi>{rest}'


def passage(given: Any) -> str:
    """A long text to read."""
    return f'<div class="so-text so-passage" dir="auto">{text(given) if given else cell(None)}</div>'


def pictured(uri: str | None, alt: str, *, pixels: bool = False, over: str = "") -> str:
    """An image that a person may look into; every image of a case is seen at the same place. `over` lies on it."""
    if uri is None:
        return picture(uri, alt)
    kind = "so-stack" if over else "so-stack so-bare"
    return f'<div class="so-lens"><div class="{kind}">{picture(uri, alt, pixels=pixels)}{over}</div></div>'


def tools(*, overlay: bool) -> str:
    """The buttons of a case's images."""
    buttons = (("zoom-out", "−", "smaller"), ("zoom-in", "+", "larger"))
    drawn = "".join(f'<button type="button" data-act="{act}" aria-label="{name}">{sign}</button>' for act, sign, name in buttons)
    return f'<p class="so-tools">{drawn}<span role="status" data-zoomed></span>{switch() if overlay else ""}</p>'


def switch() -> str:
    """The button that takes the reasons off a picture or a text, and puts them back."""
    return '<button type="button" data-act="overlay" aria-pressed="true">Reasons</button>'


def picture(uri: str | None, alt: str, *, pixels: bool = False) -> str:
    """An image; a tiny one is enlarged with its pixels kept crisp."""
    if uri is None:
        return '<p class="so-note">The picture of this case is no longer in the store.</p>'
    crisp = " so-crisp" if pixels else ""
    return f'<img class="so-image{crisp}" src="{text(uri)}" alt="{text(alt)}">'


def shown(project: Project, given: Mapping[str, Any], images: Images, item_id: int) -> str:
    """What only the person sees: links, images, files, further values."""
    fields = [(name, field) for name, field in project.input.show.items() if given.get(name) not in (None, [])]
    if not fields:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{text(field.title or name)}</th><td>{_field(field, given[name], images, item_id)}</td></tr>'
        for name, field in fields
    )
    return f'<table class="so-values so-shown"><tbody>{rows}</tbody></table>'


def _field(field: Shown, given: Any, images: Images, item_id: int) -> str:
    each = given if field.many and isinstance(given, list) else [given]
    return "".join(f'<div class="so-each">{_one(field, value, images, item_id)}</div>' for value in each)


def _one(field: Shown, given: Any, images: Images, item_id: int) -> str:
    if given is None:
        return cell(None)
    if field.type == "link":
        return link(given)
    if field.type == "image":
        return pictured(images(_blob(given)), field.title or "image")
    if field.type == "file":
        sha = _blob(given)
        return f'<a href="/blob/{item_id}/{text(sha)}" download>file {text(sha[:12])}</a>'
    return cell(given, field.unit)


def link(address: Any) -> str:
    """A link that opens beside and tells the other side nothing; anything but http is shown as text."""
    if not str(address).lower().startswith(("http://", "https://")):
        return text(address)
    return f'<a href="{text(address)}" target="_blank" rel="noopener noreferrer nofollow">{text(address)}</a>'


def _blob(given: Any) -> str:
    return str(given.get("blob", "")).removeprefix("sha256:") if isinstance(given, Mapping) else ""
