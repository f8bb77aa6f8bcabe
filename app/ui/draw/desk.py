"""The page Review around the buttons: heading, case with its reasons, counters, help."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from app.ui import answers, formats, sitting
from app.ui.counts import Counts
from app.ui.draw import bars, marks, overlays, prediction, strips
from app.ui.draw import case as case_html
from app.ui.draw import reasons as reasons_html
from app.ui.draw.pictures import Picture
from app.ui.draw.reasons import PLAIN, View
from app.ui.formats import text
from app.ui.keys import ACTIONS
from app.ui.sitting import Turn
from contract.project import Feature, Project
from review_queue import clock
from review_queue.cases import Case
from review_queue.history import Past
from review_queue.projects import Setting

Pictures = Callable[[str], Picture | None]
FIXED = (("Ctrl+Enter", "go on: accept or keep, or send what is being filled in; on a Mac with Cmd"), ("Esc", "back"))
"""Keys that stay where they are."""


def title(case: Case, setting: Setting) -> str:
    """Which case this is."""
    return f'<h2 class="so-title"><small>{text(setting.project.noun)}</small> <bdi>{text(case.external_id)}</bdi></h2>'


def about(case: Case) -> str:
    """Why somebody asked for this look, and what its person noted when they parked it."""
    said = (("Somebody asks for a look", case.requested), ("Your note", case.note))
    return "".join(f'<p class="so-asked"><b>{name}:</b> <bdi>{text(each)}</bdi></p>' for name, each in said if each)


def past(project: Project, case: Case) -> str:
    """What happened to the item before, a line each; empty where nothing may be told."""
    lines = "".join(f"<li>{_past(project, each)}</li>" for each in case.past)
    return f'<ul class="so-past" aria-label="what happened before">{lines}</ul>' if lines else ""


def _past(project: Project, each: Past) -> str:
    ago = f"{formats.span(clock.now() - each.at)} ago"
    which = f"revision {each.revision}" if each.revision is not None else "it"
    if each.what == "escalated":
        return f"{ago} it was escalated" + (f": <bdi>{text(each.words)}</bdi>" if each.words else ", without a word")
    if each.what == "answered":
        by = "by the model alone" if each.alone else "by people"
        return f"{ago} {which} was answered {by}: <b>{_answer(project, each.label)}</b>"
    features = project.input.features
    said = (f"{text(features[name].title or name)} was {_held(features[name], held)}" for name, held in each.changed)
    return f"{ago} {which} came: {', '.join(said) or 'what is shown beside it was otherwise'}"


def _held(feature: Feature, held: Any) -> str:
    if feature.type == "image":
        return "another picture"
    return case_html.cell(held, feature.unit)


def body(project: Project, case: Case, pictures: Pictures, view: View = PLAIN) -> str:
    """The case; with its reasons where they may be shown and are there, and with their place kept while they are made."""
    draw = {"image": _image, "text": _text}.get(project.input.type, _table)
    return f'<div class="so-case">{draw(project, case, pictures, view)}{_about(project, case, view)}</div>'


def _table(project: Project, case: Case, pictures: Pictures, view: View) -> str:
    found = reasons_html.usable(reasons_html.ahead(case.explanations))
    key = strips.key(view.spread)
    if sitting.awaited(case):
        return bars.waiting(project, case.input, view) + key
    if not found:
        return case_html.values(project, case.input, view.spread) + key
    return bars.table(project, case.input, found, view) + key


def _text(project: Project, case: Case, pictures: Pictures, view: View) -> str:
    given = case.input.get(next(iter(project.input.features)))
    found = reasons_html.usable(reasons_html.ahead(case.explanations))
    if given and sitting.awaited(case):
        return marks.waiting(given)
    return marks.words(given, found, view) if found and given else case_html.passage(given)


def _image(project: Project, case: Case, pictures: Pictures, view: View) -> str:
    uri, tiny = shown_picture(project, case.input, pictures)
    found = reasons_html.usable(reasons_html.ahead(case.explanations))
    if uri is not None and sitting.awaited(case):
        return overlays.waiting(uri, pixels=tiny)
    if uri is None or not found:
        return overlays.plain(uri, f"the {project.noun}", pixels=tiny)
    return overlays.segments(uri, found, pixels=tiny, late=view.late and not view.full)


def shown_picture(project: Project, given: Mapping[str, Any], pictures: Pictures) -> tuple[str | None, bool]:
    """The image of a case as a data URI, and whether it is tiny; None where the store has none."""
    held = given.get(next(iter(project.input.features))) or {}
    picture = pictures(str(held.get("blob", "")))
    return (picture.uri, picture.tiny) if picture else (None, False)


def _about(project: Project, case: Case, view: View) -> str:
    """Legend and small print; or why there are no reasons."""
    if case.prediction is None or case.prediction.label is None:
        return ""
    if not case.explanations and case.prediction.external:
        version = text(case.prediction.model_version)
        return f'<p class="so-note">The producer sent no reasons with this prediction (version {version}).</p>'
    if not case.explanations:
        return '<div class="so-about"><p class="so-note">Reasons are being made; they come here by themselves.</p></div>'
    made = reasons_html.ahead(case.explanations)
    legend = _legend(project, made[0].label) if reasons_html.usable(made) else ""
    return f'<div class="so-about">{legend}{reasons_html.small_print(made, project.title_of, full=view.full)}</div>'


def _legend(project: Project, label: str) -> str:
    others = [each for each in project.labels if each != label]
    return reasons_html.legend(project.title_of(label), project.title_of(others[0]) if len(others) == 1 else None)


def said(project: Project, case: Case, turn: Turn) -> str:
    """What stands beside a case: what it asks, the prediction in words, and what the project says of its label."""
    asked = question(case, turn, project) if case.blind or case.answers else ""
    heading = prediction.heading(case.prediction, project.title_of) if case.prediction else ""
    named = dict.fromkeys((turn.predicted, None if turn.blind else turn.first))
    return asked + heading + "".join(guideline(project, label) for label in named)


def guideline(project: Project, label: str | None) -> str:
    """What the project says of a label; empty where it says nothing."""
    held = project.labels.get(label or "")
    if label is None or held is None or not held.guideline:
        return ""
    return f'<p class="so-guideline"><b>{text(project.title_of(label))}:</b> {text(held.guideline)}</p>'


def question(case: Case, turn: Turn, project: Project) -> str:
    """What a blind case asks, or what was answered; and what an adjudication has to settle."""
    disputed = ""
    if case.answers:
        named = " and ".join(f"<b>{_answer(project, label)}</b>" for label in case.answers)
        disputed = f'<p class="so-note">Two answers stand against each other: {named}.</p>'
    if turn.blind:
        return (
            f'<p class="so-said">Your answer first</p><p class="so-note">The model\'s answer is shown after yours.</p>{disputed}'
        )
    agrees = case.first_label is not None and case.first_label == turn.predicted
    word = "The model says the same." if agrees else "The model says:"
    return f'<p class="so-said">You said {_answer(project, case.first_label)}.</p><p class="so-note">{word}</p>{disputed}'


def _answer(project: Project, label: str | None) -> str:
    return "no label fits" if label is None else text(project.title_of(label))


def counters(counts: Counts, noun: str) -> str:
    """What I did, what waits, my pace."""
    pace = f"<span><b>{counts.pace}</b> in the last hour</span>" if counts.pace else ""
    return (
        f'<p class="so-counters"><span><b data-count="today">{counts.today}</b> decided today</span>'
        f'<span><b data-count="waiting">{formats.number(counts.waiting)}</b> waiting</span>{pace}</p>'
    )


def label_guidelines(project: Project) -> str:
    """What the project says of each label."""
    rows = [(project.title_of(name), label.guideline) for name, label in project.labels.items() if label.guideline]
    items = "".join(f"<dt>{text(name)}</dt><dd>{text(guideline)}</dd>" for name, guideline in rows)
    return f'<dl class="so-guide">{items}</dl>' if items else ""


def dead(keys: Mapping[str, str | None], case: Case, turn: Turn) -> str:
    """A line that stays empty until a key is pressed that leads nowhere now."""
    first = "Your answer comes first: press the key of a label, or choose among all."
    given = "You have answered: keep your answer, or change it."
    says = {}
    if turn.blind:
        says = dict.fromkeys(("accept", "why", "runner_up"), first)
    elif case.first_given:
        says = dict.fromkeys(("skip", "escalate", "park"), given)
    elif turn.predicted is None:
        says = dict.fromkeys(("accept", "why", "runner_up"), "There is nothing to accept: the model gave no answer here.")
    told = urlencode({key: said for name, said in says.items() if (key := keys[name])}, quote_via=quote)
    return f'<p class="so-dead" role="status" data-turn="{turn.key[:8]}" data-dead="{text(told)}"></p>'


def case_keys(project: Project, keys: Mapping[str, str | None]) -> str:
    """The keys within a case, for the browser to read: n and N go from mark to mark wherever nothing else has n."""
    taken = {*answers.keys(project).values(), *keys.values()}
    free = {} if {"n", "N"} & taken else {"n": "mark-on", "N": "mark-back"}
    fixed = {sign: act for sign, act in (("+", "zoom-in"), ("-", "zoom-out")) if sign not in taken}
    own = {key: name for name in ("overlay", "search") if (key := keys[name])}
    return f'<i hidden data-case-keys="{text(urlencode({**free, **fixed, **own}))}"></i>'


def keys_help(project: Project, keys: Mapping[str, str | None]) -> str:
    """Every key of the desk, as this person has them."""
    own = [(each.key, each.title) for each in answers.everything(project) if each.key]
    if len(project.labels) > answers.MOST:
        own.insert(0, (f"1 to {answers.PROBABLE}", "the most probable labels, as their buttons say"))
    desks = [(key, action.says) for action in ACTIONS if (key := keys[action.name])]
    rows = "".join(f"<tr><td><kbd>{text(key)}</kbd></td><td>{text(what)}</td></tr>" for key, what in [*desks, *FIXED, *own])
    return f'<table class="so-keys"><caption>Keys</caption><tbody>{rows}</tbody></table>'
