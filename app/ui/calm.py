"""What a page says where the database is away, and how it comes back by itself with what was typed."""

from collections.abc import Callable
from typing import Any

import streamlit as st
from sqlalchemy import select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from app.ui import resources

AWAY = (OperationalError, InterfaceError)
"""What the database raises where it does not answer, or is busy for longer than anybody waits."""
AWAY_SAYS = "The database does not answer. Nothing is lost: what you typed stays here, and the page comes back by itself."
UNSTORED = "The database does not answer, and nothing was stored. What you typed is kept; try again in a moment."
LOOK = 3.0
"""Seconds between two looks for the database."""
TYPED = ("comment-", "note-", "focus-", "request-", "correct-")
"""How the keys of fields begin in which people type."""


def no_worker(since: str) -> str:
    """What is said, as HTML, where work waits and nobody takes it."""
    return (
        f"<b>No worker is at work</b>: what arrived has waited since {since}, and new cases come without reasons. "
        "Deciding goes on all the same. Whoever runs Signoff starts one with <code>signoff worker run</code>."
    )


def guarded(draw: Callable[[], Any]) -> None:
    """Draw, or say calmly that the database is away and look for it until it answers."""
    try:
        draw()
    except AWAY:
        _keep_typed()
        st.html(f'<div class="so-empty" role="alert"><h2>One moment</h2><p>{AWAY_SAYS}</p></div>')
        st.fragment(_look, run_every=LOOK)()


def _keep_typed() -> None:
    """Fields that are not on the page lose their text, unless it is set anew."""
    for name in list(st.session_state):
        if str(name).startswith(TYPED):
            st.session_state[name] = st.session_state[name]


def _look() -> None:
    try:
        resources.workspace().database.read(_answers)
    except AWAY:
        return
    st.rerun()


def _answers(session: Session) -> None:
    session.execute(select(1))
