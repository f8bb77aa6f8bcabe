"""A case as the person sees it: its values, its text, its images, and what is shown beside."""

from collections.abc import Callable, Mapping
from typing import Any

from app.ui import formats
from app.ui.formats import text
from contract.project import Project, Shown

LONG = 160
"""Characters from which on a value is a passage to read, not a cell."""
Images = Callable[[str], str | None]
"""From the name of a blob to a data URI; None where the store has no such picture."""


def values(project: Project, given: Mapping[str, Any]) -> str:
    """The features in the project's order, as a table."""
    rows = "".join(
        f'<tr><th scope="row">{text(feature.title or name)}</th><td>{cell(given.get(name), feature.unit)}</td></tr>'
        for name, feature in project.input.features.items()
    )
    return f'<table class="so-values"><tbody>{rows}</tbody></table>'


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


def picture(uri: str | None, alt: str, *, pixels: bool = False) -> str:
    """An image; a tiny one is enlarged with its pixels kept crisp."""
    if uri is None:
        return '<p class="so-note">The picture of this case is no longer in the store.</p>'
    crisp = " so-crisp" if pixels else ""
    return f'<img class="so-image{crisp}" src="{text(uri)}" alt="{text(alt)}">'


def shown(project: Project, given: Mapping[str, Any], images: Images) -> str:
    """What only the person sees: links, images, files, further values."""
    fields = [(name, field) for name, field in project.input.show.items() if given.get(name) not in (None, [])]
    if not fields:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{text(field.title or name)}</th><td>{_field(field, given[name], images)}</td></tr>'
        for name, field in fields
    )
    return f'<table class="so-values so-shown"><tbody>{rows}</tbody></table>'


def _field(field: Shown, given: Any, images: Images) -> str:
    each = given if field.many and isinstance(given, list) else [given]
    return "".join(f'<div class="so-each">{_one(field, value, images)}</div>' for value in each)


def _one(field: Shown, given: Any, images: Images) -> str:
    if given is None:
        return cell(None)
    if field.type == "link":
        return link(given)
    if field.type == "image":
        return picture(images(_blob(given)), field.title or "image")
    if field.type == "file":
        sha = _blob(given)
        return f'<a href="/blob/{text(sha)}" download>file {text(sha[:12])}</a>'
    return cell(given, field.unit)


def link(address: Any) -> str:
    """A link that opens beside and tells the other side nothing; anything but http is shown as text."""
    if not str(address).lower().startswith(("http://", "https://")):
        return text(address)
    return f'<a href="{text(address)}" target="_blank" rel="noopener noreferrer nofollow">{text(address)}</a>'


def _blob(given: Any) -> str:
    return str(given.get("blob", "")).removeprefix("sha256:") if isinstance(given, Mapping) else ""
