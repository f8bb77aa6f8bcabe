"""The keys of Review. Every button says what it leads to, and carries the turn it was drawn for."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

import streamlit as st

from app.again import once_more
from app.ui import answers, calm, further, resources, sitting, widgets
from app.ui.answers import Answer
from app.ui.calm import AWAY
from app.ui.draw import desk
from app.ui.formats import plain, text
from app.ui.screens import why
from app.ui.sitting import Held, Seat, Turn
from app.ui.widgets import Place, button, sentence, tail
from review_queue import calendar, clock, flags, judging, lost, parking
from review_queue.cases import Case
from review_queue.decisions import Stored, Verdict
from review_queue.errors import AlreadyDecided, ClaimExpired, KeyReused, Refused
from review_queue.parking import Parked


def draw(place: Place, seat: Seat, case: Case, turn: Turn, *, flagged: bool) -> None:
    """The buttons that fit the case as it stands: the question, the choice of a reason, or the verdicts."""
    asking = st.session_state.get("review.asking")
    with st.container(key="actions"):
        if asking and asking["key"] == turn.key:
            _ask(place, seat, turn, asking)
            return
        _verdicts(place, seat, case, turn, flagged=flagged)


def _verdicts(place: Place, seat: Seat, case: Case, turn: Turn, *, flagged: bool) -> None:
    st.html(desk.dead(place.keys, case, turn))
    _main(place, seat, case, turn)
    _labels(place, seat, case, turn)
    with st.container(horizontal=True, key="others"):
        keys = place.keys
        button("Reject: no label fits", "reject", turn, keys["reject"], choose, (place, seat, turn, "reject", None))
        if not case.first_given:
            button("Skip", "skip", turn, keys["skip"], choose, (place, seat, turn, "skip", None), kind="tertiary")
            button("Escalate", "escalate", turn, keys["escalate"], choose, (place, seat, turn, "escalate", None), kind="tertiary")
            button("Park", "park", turn, keys["park"], _asking, (turn, "until"), kind="tertiary")
        name = "Flagged: take it down" if flagged else "Flag"
        button(name, "flag", turn, keys["flag"], flag, (place, seat, case, flagged), kind="tertiary")
        button("Undo", "undo", turn, keys["undo"], undo, (place, seat), kind="tertiary")
        if further.offered(case):
            _why(place, case, turn)
        button("Keys ?", "help", turn, None, _toggle_help, (), kind="tertiary")


def _why(place: Place, case: Case, turn: Turn) -> None:
    wanted = not why.full(case)
    on = partial(why.turn_to, case, full=wanted)
    button("Why, in full" if wanted else "Less", "why", turn, place.keys["why"], on, (), kind="tertiary")


def _main(place: Place, seat: Seat, case: Case, turn: Turn) -> None:
    """The one button that goes on: accept, or keep the first answer."""
    title = place.setting.project.title_of
    if case.first_given:
        kept: tuple[Verdict, str | None] = ("reject", None) if turn.first is None else (_verdict(turn), turn.first)
        name = "no label fits" if turn.first is None else plain(title(turn.first))
        button(f"Keep: {name}", "accept", turn, place.keys["accept"], choose, (place, seat, turn, *kept), wide=True)
    elif turn.predicted is not None:
        name = plain(title(turn.predicted))
        button(f"Accept: {name}", "accept", turn, place.keys["accept"], choose, (place, seat, turn, "accept", None), wide=True)


def _verdict(turn: Turn) -> Verdict:
    return sitting.verdict_for(turn, turn.first or "")


def _labels(place: Place, seat: Seat, case: Case, turn: Turn) -> None:
    """The labels with their keys; a choice among all where they are many."""
    project = place.setting.project
    shown = answers.buttons(project, case.prediction)
    with st.container(horizontal=True, key="labels"):
        st.html(f'<span class="so-lead-in">{_lead_in(case, turn)}</span>', width="content")
        for each in shown:
            _label(place, seat, turn, each)
        button("Choose…", "choose", turn, place.keys["choose"], choose, (place, seat, turn, "correct", None), kind="tertiary")
    with st.container(key="unseen"):
        for each in answers.unseen(project, shown):
            _label(place, seat, turn, each)


def _lead_in(case: Case, turn: Turn) -> str:
    if turn.blind:
        return "Your answer:"
    return "Change to:" if case.first_given else "Correct to:" if turn.predicted is not None else "Answer:"


def _label(place: Place, seat: Seat, turn: Turn, each: Answer) -> None:
    on = first_answer if turn.blind else choose
    args: tuple[Any, ...] = (place, seat, turn, each.label)
    if not turn.blind:
        args = (place, seat, turn, sitting.verdict_for(turn, each.label), each.label)
    button(plain(each.title), f"label-{each.label}", turn, each.key, on, args)


def _ask(place: Place, seat: Seat, turn: Turn, asking: Mapping[str, Any]) -> None:
    """The second step of an act: which label, which reason, which words, until when."""
    verdict, label = asking["verdict"], asking.get("label")
    if verdict == "until":
        _ask_until(place, seat, turn)
    elif verdict == "day":
        _ask_day(place, seat, turn)
    elif verdict == "correct" and label is None:
        _ask_label(place, seat, turn)
    elif verdict == "escalate":
        _ask_words(place, seat, turn)
    else:
        _ask_reason(place, seat, turn, verdict, label)
    with st.container(horizontal=True):
        button("Back", "back", turn, "escape", _back, (), kind="tertiary")
    with st.container(key="unseen"):
        button("Back ", "back-u", turn, place.keys["undo"], _back, ())


def _ask_reason(place: Place, seat: Seat, turn: Turn, verdict: Verdict, label: str | None) -> None:
    title = {"reject": "Reject, because", "skip": "Skip, because", "correct": f"Correct to {_title(place, label)}, because"}[
        verdict
    ]
    st.html(f'<p class="so-lead-in">{title}</p>{desk.guideline(place.setting.project, label)}')
    for n, reason in enumerate(sitting.asks_reason(place.setting.project, verdict), 1):
        button(plain(reason), f"reason-{n}", turn, str(n), decide, (place, seat, turn, verdict, label, reason), wide=True)
    st.text_input("Comment (optional)", key=_comment(turn), max_chars=2000)


def _title(place: Place, label: str | None) -> str:
    return text(place.setting.project.title_of(label or ""))


def _ask_label(place: Place, seat: Seat, turn: Turn) -> None:
    every = {each.label: each for each in answers.everything(place.setting.project)}
    key = f"focus-choice-{tail(turn)}"

    def chosen() -> None:
        label = st.session_state.get(key)
        if label is not None and turn.blind:
            first_answer(place, seat, turn, label)
        elif label is not None:
            choose(place, seat, turn, sitting.verdict_for(turn, label), label)

    st.selectbox(
        "Your answer" if turn.blind else "Correct to",
        list(every),
        index=None,
        format_func=lambda label: every[label].title + (f"  ·  {every[label].key}" if every[label].key else ""),
        key=key,
        on_change=chosen,
        placeholder="type to find a label",
    )


def _ask_words(place: Place, seat: Seat, turn: Turn) -> None:
    with st.form(f"escalation-{tail(turn)}", border=False):
        st.text_input("What should the lead know? (optional)", key=f"focus-{_comment(turn)}", max_chars=2000)
        args = (place, seat, turn, "escalate", None, None)
        st.form_submit_button("Escalate to a lead", on_click=decide, args=args, shortcut=place.keys["escalate"])


def _ask_until(place: Place, seat: Seat, turn: Turn) -> None:
    st.html('<p class="so-lead-in">Park until</p>')
    zone = place.setting.project.zone
    found = sitting.choices(place.setting, clock.now())
    for n, (name, until) in enumerate(found, 1):
        shown = f"{name} · {until.astimezone(zone):%a %d %b}" if until is not None else name
        button(plain(shown), f"until-{n}", turn, str(n), park, (place, seat, turn, until), wide=True)
    button("Another day, or with a note…", "day", turn, str(len(found) + 1), _asking, (turn, "day"), wide=True)


def _ask_day(place: Place, seat: Seat, turn: Turn) -> None:
    with st.form(f"parking-{tail(turn)}", border=False):
        until = f"Until when? Empty: until the {place.setting.project.noun} changes"
        st.text_input(until, key=f"focus-day-{tail(turn)}", placeholder="2026-12-01, or 5d", max_chars=40)
        st.text_input("Note to yourself (optional)", key=_note(turn), max_chars=parking.MAX_NOTE)
        st.form_submit_button("Park it", on_click=_park_until, args=(place, seat, turn))


def _comment(turn: Turn) -> str:
    return f"comment-{tail(turn)}"


def _note(turn: Turn) -> str:
    return f"note-{tail(turn)}"


def _asking(turn: Turn, what: str) -> None:
    st.session_state["review.asking"] = {"key": turn.key, "verdict": what}


def park(place: Place, seat: Seat, turn: Turn, until: datetime | None) -> None:
    """Put the case aside and take the next one."""
    note = st.session_state.get(_note(turn))
    _act(place, turn, lambda: place.database.write(sitting.park, seat, turn, until, note), back=_back_by(place))


def _park_until(place: Place, seat: Seat, turn: Turn) -> None:
    typed = (st.session_state.get(f"focus-day-{tail(turn)}") or "").strip()
    try:
        until = calendar.moment(typed, place.setting.policy.calendar, place.setting.project.zone) if typed else None
    except ValueError as error:
        _asking(turn, "day")
        st.session_state["review.said"] = (f"{typed} {error}.", "trouble")
        return
    park(place, seat, turn, until)


def choose(place: Place, seat: Seat, turn: Turn, verdict: Verdict, label: str | None) -> None:
    """A verdict was pressed: ask what is still open, else store it."""
    if turn.blind and verdict == "reject":
        first_answer(place, seat, turn, None)
    elif verdict == "escalate" or (verdict == "correct" and label is None) or sitting.asks_reason(place.setting.project, verdict):
        st.session_state["review.asking"] = {"key": turn.key, "verdict": verdict, "label": label}
    else:
        decide(place, seat, turn, verdict, label, sitting.only_reason(place.setting.project, verdict))


def decide(place: Place, seat: Seat, turn: Turn, verdict: Verdict, label: str | None, reason: str | None) -> None:
    """Store a verdict and take the next case."""
    comment = st.session_state.get(_comment(turn)) or st.session_state.get(f"focus-{_comment(turn)}")
    said = sitting.said_of(turn, verdict, label, reason, comment)
    if _act(place, turn, lambda: once_more(place.database, sitting.decide, seat, turn, said), back=_back_by(place)):
        _prompt(place, seat)


def _prompt(place: Place, seat: Seat) -> None:
    """A word about a long run of quick accepts, beside what was said of the last one."""
    with suppress(*AWAY):
        if word := place.database.write(judging.prompt, seat.setting, seat.actor):
            st.session_state["review.said"] = (f"{st.session_state['review.said'][0]} · {word}", "said")


def first_answer(place: Place, seat: Seat, turn: Turn, label: str | None) -> None:
    """Store what the person says before seeing anything of the model."""
    _act(place, turn, lambda: once_more(place.database, sitting.answer, seat, turn, label), back="stored")


def flag(place: Place, seat: Seat, case: Case, flagged: bool) -> None:
    """Put a flag on the case, or take it down; a press that is heard twice changes nothing."""
    turned = flags.unflag if flagged else flags.flag
    said = "The flag is down" if flagged else "Flagged: leads find it in Queue"
    widgets.tried(lambda: place.database.write(turned, seat.setting, seat.actor, case.item_id), said, at="review")


def undo(place: Place, seat: Seat) -> None:
    """Take back the last decision."""
    st.session_state["review.asking"] = st.session_state["review.turn"] = None
    try:
        resources.require_current()
        done = place.database.write(sitting.undo, seat)
    except AWAY:
        st.session_state["review.said"] = (calm.UNSTORED, "trouble")
        return
    except Refused as error:
        st.session_state["review.said"] = (sentence(str(error)), "trouble")
        return
    if done is None:
        st.session_state["review.said"] = ("There is nothing to take back.", "note")
        return
    stored, st.session_state["review.held"] = done
    st.session_state["review.said"] = (f"Taken back: {_in_words(place, stored)}", "said")


def _act(place: Place, turn: Turn, act: Any, *, back: str) -> bool:
    """Store, remember what was said, and keep what comes next; whether that went well. A press that came late or twice is no
    event."""
    asked = st.session_state.get("review.asking")
    st.session_state["review.asking"] = None
    try:
        done: tuple[Stored | Parked, Held] = act()
    except (AlreadyDecided, KeyReused):
        return False
    except AWAY:
        st.session_state["review.asking"], st.session_state["review.said"] = asked, (calm.UNSTORED, "trouble")
        return False
    except ClaimExpired:
        lost_ = place.database.read(lost.why, place.actor, turn.token, place.setting.project.noun)
        st.session_state["review.said"] = (lost_, "trouble")
        return False
    except Refused as error:
        st.session_state["review.said"] = (sentence(str(error)), "trouble")
        return False
    stored, st.session_state["review.held"] = done
    st.session_state["review.said"] = (f"{_in_words(place, stored)} · {back}", "said")
    return True


def _back_by(place: Place) -> str:
    return f"{place.keys['undo']} takes it back"


def _in_words(place: Place, done: Stored | Parked) -> str:
    if isinstance(done, Parked):
        return sitting.parked_in_words(place.setting, done)
    return sitting.in_words(place.setting.project, done)


def _back() -> None:
    st.session_state["review.asking"] = None


def _toggle_help() -> None:
    st.session_state["review.help"] = not st.session_state.get("review.help")
