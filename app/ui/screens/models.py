"""Models: versions, training, comparing, promoting by signature, and the brake."""

from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from app.ui import formats, widgets
from app.ui.draw import figures, quality
from app.ui.formats import text
from app.ui.screens import beside, braking
from app.ui.widgets import Place
from review_queue import jobs, reason_quality
from review_queue.jobs import Job

if TYPE_CHECKING:
    from retrain.records import ModelInfo, ProposalInfo


SHOWN = 50
LATEST = 3
"""Versions whose reasons are told of, beside those that play a role."""


def draw() -> None:
    """The screen."""
    place = widgets.place()
    st.html('<h2 class="so-title">Models</h2>')
    widgets.said("models")
    known = _models(place)
    _versions(place, known)
    beside.draw(place)
    _proposals(place)
    _train(place)
    if known:
        _compare(place, known)
    _reasons(place, known)
    braking.draw(place, "models")


def _models(place: Place) -> "list[ModelInfo]":
    from retrain import registry

    return place.database.read(registry.models, place.setting.id, SHOWN)


def _versions(place: Place, known: "list[ModelInfo]") -> None:
    external = place.setting.project.external
    if external:
        widgets.line(
            "Predictions come with the items, and what made them registers itself here; one acts once it is signed.", "note"
        )
    if not known:
        said = "The first comes with the first prediction." if external else "Train the first one below."
        widgets.empty("No version yet" if external else "No model yet", said)
        return
    zone = place.zone
    rows = [
        (
            f"<b>{each.version}</b>" + (f" <bdi>{text(each.name)}</bdi>" if each.name else ""),
            " ".join(f"<b>{text(alias)}</b>" for alias in each.aliases) or "–",
            text(each.trainer),
            figures.facts(each.figures),
            formats.moment(each.made_at, zone),
            "elsewhere" if each.external else formats.size(each.size),
        )
        for each in known
    ]
    caption = (
        f"Versions, newest first (the latest {SHOWN}, and those that play a role)"
        if len(known) >= SHOWN
        else "Versions, newest first"
    )
    widgets.grid(("version", "role", "trainer", "figures", "made", "size"), rows, caption=caption)


def _reasons(place: Place, known: "list[ModelInfo]") -> None:
    """How good the reasons of the acting version, and of the latest ones, are."""
    chosen = [each for n, each in enumerate(known) if not each.external and (each.aliases or n < LATEST)]
    found = [(each.version, place.database.read(reason_quality.of_model, each.id)) for each in chosen]
    rows = [row for version, qualities in found for row in quality.rows(version, qualities)]
    if rows:
        widgets.grid(quality.HEAD, rows, caption="How good their reasons are")
        with st.expander("What the columns say"):
            st.html(f'<p class="so-note">{text(quality.MEANING)}</p>')


def _train(place: Place) -> None:
    if place.actor.at_least("lead"):
        st.button("Train a new version from all labels", key="models-train", on_click=_ask, args=(place, "train", {}))
    widgets.follow(place, ("train",))


def _compare(place: Place, known: "list[ModelInfo]") -> None:
    others = {each.version: each for each in known if "champion" not in each.aliases}
    if not others:
        return
    done = place.database.read(jobs.recent, place.setting.id, kinds=("compare", "known-answers"), limit=5)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = others[st.selectbox("Version", list(others), key="models-version", width=160)]
        if place.actor.at_least("lead"):
            if not wanted.external and not place.setting.project.external:  # else there is nothing here to ask
                asked = (place, "compare", {"challenger": wanted.version})
                st.button("Compare with the champion", key="models-compare", on_click=_ask, args=asked)
            if any("champion" in each.aliases for each in known):
                beside.offer(place, wanted)
            _offer(place, known, wanted, done)
    widgets.follow(place, ("compare", "gate", "retrain"))
    if found := _result(done, wanted.version):
        st.html(figures.comparison(found))
    beside.details(place, wanted)


def _offer(place: Place, known: "list[ModelInfo]", wanted: "ModelInfo", done: list[Job]) -> None:
    """The button that makes this version act, for owners: where nothing acts yet, it acted before, or it passed the gate.

    One that is proposed already is signed where it stands."""
    from retrain import registry, verdicts

    back, version = "previous" in wanted.aliases, wanted.version
    acting = next((each for each in known if "champion" in each.aliases), None)
    if not place.actor.at_least("owner") or beside.may_return(place) == wanted.id:
        return
    if any(
        each.state == "open" and each.version == version for each in place.database.read(registry.proposals, place.setting.id, 5)
    ):
        return
    gated = acting is not None and not wanted.external and not back
    if gated and acting is not None:
        found = place.database.read(verdicts.latest, wanted.id, acting.id)
        if found is None or not found.passed or not found.fresh:
            return
    name = f"Roll back to version {version}" if back else f"Propose version {version} as champion"
    args = (place, version, "rollback" if back else "promote", _result(done, version))
    question = _question(version, place.setting.policy.evidence.signers)
    widgets.twice(name, question, name=f"models-propose-{version}", on_click=_propose, args=args)


def _question(version: int, signers: int) -> str:
    """What comes of the last signature."""
    after = f"Version {version} acts from the next batch on"
    return f"{after}. Sign it?" if signers == 1 else f"{after} once {signers} people have signed. Put your name under it?"


def _result(done: list[Job], version: int) -> dict[str, Any] | None:
    """The latest comparison of a version; the known answers end with one."""
    results = [job.result for job in done if job.state == "done" and job.result]
    found: list[dict[str, Any]] = [result.get("comparison", result) for result in results]
    return next((each for each in found if each.get("challenger") == version), None)


def _proposals(place: Place) -> None:
    from retrain import registry

    for each in place.database.read(registry.proposals, place.setting.id, 5):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.html(_proposal(place, each))
            if each.state == "open" and place.actor.at_least("owner") and place.actor.name not in each.signed_by:
                left = each.signers - len(each.signed_by)
                question = _question(each.version, left)
                name = f"Sign for version {each.version}"
                widgets.twice(name, question, name=f"sign-{each.id}", on_click=_sign, args=(place, each.id))


def _proposal(place: Place, each: "ProposalInfo") -> str:
    what = "Roll back to" if each.kind == "rollback" else "Make champion:"
    signed = f"{len(each.signed_by)} of {each.signers} signatures ({', '.join(each.signed_by) or 'none yet'})"
    applied = f", in force since {formats.moment(each.applied_at, place.zone)}" if each.applied_at else ""
    return f'<p class="so-line so-note">{what} version {each.version}: {text(each.state)}, {text(signed)}{applied}.</p>'


def _ask(place: Place, kind: str, args: dict[str, object]) -> None:
    widgets.tried(
        lambda: place.database.write(jobs.ask, place.setting.id, kind, args, by=place.actor),
        "Asked for; a worker does it.",
        at="models",
    )


def _propose(place: Place, version: int, kind: Literal["promote", "rollback"], comparison: dict[str, Any] | None) -> None:
    from retrain import registry

    def act() -> None:
        key, setting = place.workspace.keys.draw_key_id, place.setting
        place.database.write(
            registry.propose, setting.id, version, by=place.actor, draw_key_id=key, kind=kind, comparison=comparison
        )

    alone = place.setting.policy.evidence.signers == 1
    said = "signed by you, and acts from the next batch on" if alone else "proposed, with your signature"
    widgets.tried(act, f"Version {version} is {said}.", at="models")


def _sign(place: Place, proposal: int) -> None:
    from retrain import registry

    key = place.workspace.keys.draw_key_id
    widgets.tried(lambda: place.database.write(registry.sign, proposal, by=place.actor, draw_key_id=key), "Signed.", at="models")
