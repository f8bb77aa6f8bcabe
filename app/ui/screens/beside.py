"""On the page Models: what stands in shadow, what the gate found, how a version learned, its card, and the way back."""

from typing import TYPE_CHECKING, Any

import streamlit as st
from sqlalchemy.orm import Session

from app.ui import formats, widgets
from app.ui.draw import beside as drawn
from app.ui.draw import charts
from app.ui.widgets import Place
from review_queue import challenges, differences, succession
from review_queue.challenges import Challenge
from review_queue.differences import Figures

if TYPE_CHECKING:
    from retrain.records import ModelInfo
    from retrain.verdicts import Verdict

AT = "models"


def draw(place: Place) -> None:
    """The models that stand in shadow, each beside the one that acts."""
    for stood, found in place.database.read(_shown, place.setting.id):
        st.html(f'<h3 class="so-title">{formats.text(drawn.title(stood, place.zone))}</h3>')
        widgets.figures(drawn.cards(stood, found))
        widgets.line(drawn.said(stood, found), "note")
        if (picture := drawn.course(stood, found)) is not None:
            st.html(f'<div class="so-charts">{charts.draw(picture)}</div>')
        if found.parts:
            rows = [drawn.part_row(each) for each in found.parts]
            widgets.grid(drawn.part_head(stood), rows, caption="Who was right where they differ, by right label and group")
        _acts(place, stood)


def _shown(session: Session, project_id: int) -> list[tuple[Challenge, Figures]]:
    return [(each, differences.figures(session, each.id)) for each in challenges.standing(session, project_id)]


def _acts(place: Place, stood: Challenge) -> None:
    if not place.actor.at_least("lead"):
        return
    if stood.kind == "former":
        question = f"Version {stood.version} acts again from the next batch on, by your word alone. Bring it back?"
        name = f"Roll back to version {stood.version} at once"
        widgets.twice(name, question, name="models-rollback", on_click=_roll_back, args=(place,))
    else:
        st.button(f"Take version {stood.version} out of shadow", key="models-shadow-end", on_click=_end, args=(place,))


def offer(place: Place, version: "ModelInfo") -> None:
    """The button that puts a version into shadow, for leads."""
    standing = place.database.read(challenges.standing, place.setting.id)
    if version.external or not place.actor.at_least("lead") or any(each.model_id == version.id for each in standing):
        return
    st.button(f"Put version {version.version} in shadow", key="models-shadow", on_click=_begin, args=(place, version.id))


def details(place: Place, version: "ModelInfo") -> None:
    """What the gate found of a version, how it learned, and its card."""
    from retrain import cards, runs, verdicts

    found = place.database.read(verdicts.latest, version.id)
    if found is not None:
        _gate(place, found)
    run = place.database.read(runs.of_model, version.id)
    pictures = [drawn.curves(name, held) for name, held in _curves(run.curves if run else {})]
    if shown := [charts.draw(each) for each in pictures if each is not None]:
        st.html(f'<div class="so-charts">{"".join(shown)}</div>')
    with st.expander(f"The card of version {version.version}"):
        card = cards.text(place.database.read(cards.card, place.setting, version.version))
        st.code(card, language=None, wrap_lines=True)
        name = f"{place.setting.name}-model-{version.version}.md"
        st.download_button("Take the card as a file", card, name, "text/markdown", key="models-card", on_click="ignore")


def _curves(held: Any) -> list[tuple[str, Any]]:
    return [(name, each) for name, each in held.items() if isinstance(each, dict)]


def _gate(place: Place, found: "Verdict") -> None:
    what = f"At the gate: version {found.version} against version {found.against}, {formats.moment(found.made_at, place.zone)}"
    st.html(f'<h3 class="so-title">{formats.text(what)}</h3>')
    widgets.line(widgets.sentence(found.said) if found.passed else "Not offered yet; this is missing:", "said")
    if found.missing:
        st.html(drawn.missing(found.missing))
    widgets.grid(drawn.GATE_HEAD, list(drawn.gate_rows(found.figures)), caption=drawn.GATE_CAPTION)
    widgets.line(widgets.sentence(drawn.cost(found.figures)), "note")


def _roll_back(place: Place) -> None:
    from retrain import registry

    key = place.workspace.keys.draw_key_id
    widgets.tried(
        lambda: place.database.write(registry.rollback, place.setting.id, by=place.actor, draw_key_id=key),
        "The former champion acts again from the next batch on.",
        at=AT,
    )


def _begin(place: Place, model_id: int) -> None:
    widgets.tried(
        lambda: place.database.write(challenges.begin, place.setting, model_id, by=place.actor),
        "It predicts beside the one that acts, from the next batch on.",
        at=AT,
    )


def _end(place: Place) -> None:
    widgets.tried(
        lambda: place.database.write(challenges.end, place.setting, by=place.actor),
        "It predicts no more; what it said stays.",
        at=AT,
    )


def may_return(place: Place) -> int | None:
    """The id of the former champion while it may come back at once."""
    stood = place.database.read(succession.way_back, place.setting.id)
    return stood.model_id if stood is not None else None
