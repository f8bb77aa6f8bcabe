"""What several screens draw: the place they are at, messages, buttons that carry their turn, progress of jobs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal
from zoneinfo import ZoneInfo

import streamlit as st

from app.ui import calm, formats, resources
from app.ui.calm import AWAY
from app.ui.formats import text
from app.ui.keys import keymap
from app.ui.resources import Here
from app.ui.sitting import Turn
from app.workspace import Workspace
from db.engine import Database
from review_queue import jobs, preferences
from review_queue.activity import Actor
from review_queue.errors import Refused
from review_queue.jobs import Job
from review_queue.preferences import Preferences
from review_queue.projects import Setting

ENDED = ("done", "failed", "cancelled")
JOBS = {
    "export": "Dataset version",
    "train": "Training",
    "compare": "Comparison",
    "retrain": "Retraining",
    "gate": "Look at the gate",
    "erase": "Erasure",
    "known-answers": "Known answers",
    "report": "Report",
}
"""What jobs are called, by their kinds."""


@dataclass(frozen=True)
class Place:
    """Where a page is: the installation, the project, the person."""

    workspace: Workspace
    setting: Setting
    actor: Actor
    chosen: Preferences = field(default_factory=Preferences)

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which this person reads times."""
        return preferences.zone(self.chosen, st.context.timezone, self.setting.project.zone)

    @cached_property
    def keys(self) -> dict[str, str | None]:
        """The key of each action at this desk."""
        return keymap(self.setting.project, self.chosen.keys)

    @property
    def database(self) -> Database:
        return self.workspace.database


def place() -> Place:
    """The place of this page; ends the page with a way on where there is none."""
    here: Here = st.session_state.pop("here", None) or resources.arrive()
    if here.actor is None:
        st.html(
            '<div class="so-empty"><h2>Please sign in</h2><p><a href="/signin" target="_self">To the sign-in page</a></p></div>'
        )
        st.stop()
    if here.setting is None:
        empty("No project yet", "Run <code>signoff demo</code> for real cases, or <code>signoff project apply</code> for yours.")
        st.stop()
    return Place(resources.workspace(), here.setting, here.actor, here.chosen)


def empty(title: str, sentence: str) -> None:
    """A page that has nothing to show, and what to do next. `sentence` is HTML."""
    st.html(f'<div class="so-empty"><h2>{text(title)}</h2><p>{sentence}</p></div>')


def line(sentence: str, kind: Literal["said", "trouble", "note"] = "said") -> None:
    """One quiet line that screen readers hear."""
    st.html(f'<p class="so-line so-{kind}" role="status">{text(sentence)}</p>' if sentence else '<p class="so-line"></p>')


def tried(act: Callable[[], Any], said: str, *, at: str) -> None:
    """Do what a button is for; what came of it is a sentence that the screen `at` shows."""
    try:
        resources.require_current()
        act()
        st.session_state[f"{at}.said"] = (said, "said")
    except AWAY:
        st.session_state[f"{at}.said"] = (calm.UNSTORED, "trouble")
    except Refused as error:
        st.session_state[f"{at}.said"] = (sentence(str(error)), "trouble")


def twice(
    label: str, question: str, *, name: str, on_click: Callable[..., None], args: tuple[Any, ...], yes: str = "Yes, do it"
) -> None:
    """A button that asks once more before it acts."""
    if st.session_state.get("asked-twice") != name:
        st.button(label, key=name, on_click=_ask_again, args=(name,))
        return
    with st.container(key=f"{name}-again", horizontal=True, vertical_alignment="center"):
        line(question, "note")
        st.button(yes, key=f"{name}-yes", on_click=_answered, args=(on_click, args))
        st.button("No, leave it", key=f"{name}-no", on_click=_ask_again, args=(None,))


def _ask_again(name: str | None) -> None:
    st.session_state["asked-twice"] = name


def _answered(act: Callable[..., None], args: tuple[Any, ...]) -> None:
    _ask_again(None)
    act(*args)


def said(at: str) -> None:
    """Show, once, what the last button of a screen did."""
    if held := st.session_state.pop(f"{at}.said", None):
        line(*held)


def sentence(message: str) -> str:
    """A refusal as a sentence."""
    return message[:1].upper() + message[1:] + ("" if message.endswith((".", "!", "?")) else ".")


def figures(pairs: Sequence[tuple[str, str, str]]) -> None:
    """Numbers in a row: the number, what it counts, and what it is a share of."""
    cards = "".join(
        f'<div class="so-figure"><b>{text(number)}</b><span>{text(name)}</span><small>{text(of)}</small></div>'
        for number, name, of in pairs
    )
    st.html(f'<div class="so-cards">{cards}</div>')


def grid(head: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str) -> None:
    """A plain table. Cells are HTML: escape what comes from data."""
    titles = "".join(f'<th scope="col">{text(title)}</th>' for title in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    st.html(
        f'<div class="so-scroll" tabindex="0"><table class="so-grid"><caption>{text(caption)}</caption>'
        f"<thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def follow(place: Place, kinds: tuple[str, ...], empty_line: str = "") -> list[Job]:
    """The latest jobs of some kinds with their progress; looks again by itself while one is under way."""
    latest = place.database.read(jobs.recent, place.setting.id, kinds=kinds, limit=5)
    busy = any(job.state not in ENDED for job in latest)
    if busy:
        st.fragment(_progress, run_every=2)(place, kinds)
    elif latest:
        _draw_jobs(place, latest[:1])
    elif empty_line:
        line(empty_line, "note")
    return latest


def _progress(place: Place, kinds: tuple[str, ...]) -> None:
    latest = place.database.read(jobs.recent, place.setting.id, kinds=kinds, limit=5)
    under_way = [job for job in latest if job.state not in ENDED]
    if not under_way:
        st.rerun()  # the whole page: what the job made belongs to it
    _draw_jobs(place, under_way)


def _draw_jobs(place: Place, shown: Sequence[Job]) -> None:
    st.html("".join(job_line(job, place.zone) for job in shown))


def job_line(job: Job, zone: ZoneInfo) -> str:
    """A job in one line, with a bar while it runs."""
    what = JOBS[job.kind]
    asked = formats.moment(job.asked_at, zone)
    state = {"waiting": "waits for a worker", "running": "running", "done": "done", "failed": "failed"}.get(job.state, job.state)
    detail = text(job.error or "" if job.state in ENDED else job.step or "")
    bar = ""
    if job.state == "running":
        bar = f'<span class="so-track so-job"><i style="width:{job.progress * 100:.0f}%"></i></span>'
    kind = "trouble" if job.state == "failed" else "note"
    return f'<p class="so-line so-{kind}"><b>{what}</b> asked {asked}: {state}. {detail} {bar}</p>'


def button(
    label: str,
    name: str,
    turn: Turn,
    shortcut: str | None,
    on_click: Any,
    args: tuple[Any, ...],
    *,
    kind: str = "secondary",
    wide: bool = False,
) -> None:
    """A button of this turn alone: with the next case it is another one, so a late press finds nothing to act on."""
    st.button(
        label,
        key=f"{name}-{tail(turn)}",
        shortcut=shortcut,
        on_click=on_click,
        args=args,
        type=kind,  # type: ignore[arg-type]
        width="stretch" if wide else "content",
    )


def tail(turn: Turn) -> str:
    return turn.key[:8]
