"""The section of Insights about people: who sees errors, who follows the prediction, how long they take."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

import streamlit as st

from app.ui import widgets
from app.ui.draw import judging as drawn
from app.ui.formats import moment, number, text
from app.ui.widgets import Place
from review_queue import judging
from review_queue.judging import Judging
from review_queue.periods import Period


def draw(place: Place, period: Period, asked: Mapping[str, str]) -> None:
    """The section: everybody for leads and up, for others themselves. `asked`: the period as the address has it."""
    st.html('<h3 class="so-title">Judging, not nodding</h3>')
    found = place.database.read(judging.of, place.setting, period, by=place.actor)
    if not place.setting.policy.gold_rate:
        widgets.line("No known answers are mixed into people's work: review.gold.rate in policy.yaml says how many.", "note")
    if not found.people:
        widgets.empty("No figures yet", "They begin on the day after the first decision of the period.")
        return
    st.html(drawn.people(found))
    widgets.line(_said(place, found), "note")
    link = f"/csv/{quote(place.setting.name, safe='')}/{drawn.NAME}?{urlencode(asked)}"
    st.html(
        f'<p class="so-note"><a href="{text(link)}" target="_self" download>These figures as a file (CSV)</a></p>{drawn.how()}'
    )


def _said(place: Place, found: Judging) -> str:
    """What the figures rest on."""
    whose = "" if place.actor.at_least("lead") else "These are your own; leads see everybody's. "
    latest = (
        "" if found.whole else f" Of the latest {number(judging.WINDOW)} decisions of the period, and as many on known answers."
    )
    until = f"They end with {moment(found.until, place.zone)}, so that nobody can tell by them which case was a known one."
    return f"{whose}{until}{latest}"
