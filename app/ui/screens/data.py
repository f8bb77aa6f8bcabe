"""Data: what people decided, as dataset versions to train on and to take along."""

import mimetypes
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.ui import formats, resources, widgets
from app.ui.draw import webhooks as drawn
from app.ui.formats import text
from app.ui.screens import idle
from app.ui.widgets import Place
from review_queue import jobs, people, webhooks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrain.records import DatasetInfo, DatasetVersion

SHOWN = 100
"""Versions to choose from, the newest first."""
FORMATS = {"parquet": "Parquet", "jsonl": "JSON Lines", "csv": "CSV", "huggingface": "Hugging Face"}
FORMATS |= {"image-folder": "Folders of images", "label-studio": "Label Studio"}
KINDS = {"base": "came with the project", "imported": "labelled elsewhere", "export": "decided here", "answers": "known answers"}


def draw() -> None:
    """The screen."""
    place = widgets.place()
    st.html('<h2 class="so-title">Data</h2>')
    widgets.said("data")
    if place.actor.at_least("lead"):
        _ask(place)
    widgets.follow(place, ("export",))
    found = _versions(place)
    if found:
        _version(place, found)
    else:
        widgets.empty("No dataset version yet", "One holds every decided case with its weight, its basis and who agreed.")
    _webhooks(place)
    idle.known_answers(place)


def _webhooks(place: Place) -> None:
    """Where events are posted to, for leads, where there is any."""
    hooks = place.database.read(webhooks.every, place.setting.id) if place.actor.at_least("lead") else []
    for each in (hook for hook in hooks if hook.fails):
        widgets.line(f"Webhook {each.id} has taken nothing for a day: `signoff webhook show {each.id}`", "note")
    if hooks:
        widgets.grid(
            drawn.HEAD,
            [drawn.row(each.as_seen_by(place.actor), place.zone) for each in hooks],
            caption="Webhooks",
        )


def _ask(place: Place) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        fitting = [each for each in FORMATS if each != "image-folder" or place.setting.project.input.type == "image"]
        kind = st.selectbox("Format", fitting, format_func=FORMATS.__getitem__, key="data-format", width=180)
        st.button("Make a dataset version", type="primary", key="data-make", on_click=_make, args=(place, kind))
        st.checkbox("with the reasons that were on the screen", key="data-reasons")


def _make(place: Place, kind: str) -> None:
    def ask() -> None:
        reasons = {"with_reasons": True} if st.session_state.get("data-reasons") else {}
        place.database.write(jobs.ask, place.setting.id, "export", {"format": kind, **reasons}, by=place.actor)

    widgets.tried(ask, "Asked for; a worker makes it.", at="data")


def _versions(place: Place) -> "list[DatasetVersion]":
    from retrain import datasets

    return place.database.read(datasets.versions, place.setting.id, limit=SHOWN)


def _version(place: Place, found: "list[DatasetVersion]") -> None:
    """One version in full, the newest until another is chosen: a manifest may be long, so only one is read."""
    from retrain import datasets

    named = {each.id: _named(place, each) for each in found}
    chosen = st.selectbox("Version", list(named), format_func=named.__getitem__, key=f"data-version-{found[0].id}")
    each = place.database.read(datasets.dataset, chosen)
    reviewers = each.manifest.get("reviewers", {})
    if played := sum(reviewers.get(name, 0) for name in people.PLAYERS):
        widgets.line(f"{formats.number(played)} of its answers were given by the known answers.", "note")
    st.html(summary(place, each))
    if each.files and each.kind != "answers" and place.actor.at_least("lead") and resources.served():
        st.html(files(each))


def _named(place: Place, each: "DatasetVersion") -> str:
    made = formats.moment(each.made_at, place.zone)
    gone = f", rows erased: now version {each.replaced_by}" if each.replaced_by is not None else ""
    return f"Version {each.id}: {formats.count(each.rows, 'row')}, {KINDS.get(each.kind, each.kind)}, {made}{gone}"


COUNTED = {
    "label": "labels",
    "label_basis": "why a label exists",
    "label_source": "who settled it",
    "window": "window",
    "split": "split",
}


def summary(place: Place, each: "DatasetInfo") -> str:
    """What the manifest says, as a table."""
    title_of, counts = place.setting.project.title_of, each.manifest.get("counts", {})
    rows = [("content", each.content_hash[:16])]
    if each.kind == "export":
        rows.append(("complete through", str(each.manifest.get("complete_through") or "nothing yet: earlier cases are open")))
    if (reasons := each.manifest.get("reasons")) is not None:
        rows.append(("explanations on screens", formats.number(int(reasons["rows"]))))
    if weighed := each.manifest.get("weights"):
        worth = f"tell as much as {formats.number(round(weighed['effective']))} of a random sample"
        rows.append(("weights", f"{formats.count(weighed['rows'], 'row')} {worth}"))
    if erased := each.manifest.get("erased"):
        rows.append(("erased", formats.count(int(erased), "row")))
    for name, title in COUNTED.items():
        if found := counts.get(name):
            shown = ((title_of(str(key)) if name == "label" else str(key), value) for key, value in found.items())
            rows.append((title, ", ".join(f"{key or 'none'}: {formats.number(value)}" for key, value in shown)))
    body = "".join(f'<tr><th scope="row">{text(name)}</th><td>{text(value)}</td></tr>' for name, value in rows)
    return f'<table class="so-values"><tbody>{body}</tbody></table>'


def files(each: "DatasetInfo") -> str:
    """A link per file, those of images folded away; taking one is noted."""
    held = sorted(each.files.items())
    pictures = [entry for entry in held if _is_image(entry[0])]
    folded = f"<details><summary>{formats.count(len(pictures), 'image')}</summary>{_links(each, pictures)}</details>"
    rest = [entry for entry in held if not _is_image(entry[0])]
    return f'{_links(each, rest)}{folded if pictures else ""}<p class="so-note">Every download is noted in the activity log.</p>'


def _links(each: "DatasetInfo", entries: "Sequence[tuple[str, Mapping[str, Any]]]") -> str:
    links = "".join(
        f'<li><a href="/dataset/{each.id}/{text(name)}" download>{text(name)}</a> '
        f"<small>{formats.size(int(entry.get('size', 0)))}</small></li>"
        for name, entry in entries[:60]
    )
    more = len(entries) - 60
    rest = f"<p class='so-note'>and {more} more; <code>signoff dataset export</code> writes all</p>" if more > 0 else ""
    return f'<ul class="so-files">{links}</ul>{rest}'


def _is_image(name: str) -> bool:
    return (mimetypes.guess_type(name)[0] or "").startswith("image/")
