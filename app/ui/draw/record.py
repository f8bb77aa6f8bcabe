"""The whole record of one case, as one page."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from app.ui import formats
from app.ui.draw import bars, marks
from app.ui.draw import case as case_html
from app.ui.draw import reasons as reasons_html
from app.ui.draw.pictures import Picture
from app.ui.formats import percent, text
from review_queue.activity import Act
from review_queue.erasure import Erasing
from review_queue.find import Judged, Record, Routed, Stood
from review_queue.projects import Setting
from review_queue.truths import Fact

Pictures = Callable[[str], Picture | None]
VERDICTS = {"accept": "accepted", "correct": "corrected to", "reject": "rejected", "skip": "skipped", "escalate": "escalated"}
ROUTES = {"auto": "acted alone", "review": "sent to a person", "failed": "failed"}


def page(record: Record, setting: Setting, pictures: Pictures, zone: ZoneInfo) -> str:
    """Everything, in the order in which it happened; times as the reader's zone has them."""
    at = _Clock(zone)
    parts = [
        f'<h2 class="so-title"><small>{text(setting.project.noun)}</small> <bdi>{text(record.external_id)}</bdi></h2>',
        f'<p class="so-note">{_about(record, at)}</p>',
        _gone(record.erased, at) if record.erased else _input(record, setting, pictures),
        _section("What proved true", (_true(each, setting, at) for each in record.truths)),
        _section("Predictions", _predictions(record, setting)),
        _section("Routing", (_routed(each, setting, at(each.at)) for each in record.routings)),
        _section("Draws", (_draw(each) for each in record.draws)),
        _section("Decisions", (_judged(each, record, setting, at) for each in record.decisions)),
        _section("Outcomes", (_stood(each, setting, at(each.at)) for each in record.outcomes)),
        _section("Told to the producer", (f"{at(e.made_at)}: {text(e.kind)} (number {e.seq})" for e in record.events)),
        _reasons(record, setting),
        _section("Activity", (_did(each, at(each.at)) for each in record.activity)),
    ]
    return "".join(parts)


class _Clock:
    """Times as whoever reads them has them."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone

    def __call__(self, moment: datetime) -> str:
        return formats.moment(moment, self.zone)


def _about(record: Record, at: "_Clock") -> str:
    closed = f" {at(record.closed_at)}" if record.closed_at else ""
    revision = f" · revision {record.item_revision}" if record.item_revision > 1 or record.state == "replaced" else ""
    return f"{text(record.state)}{closed} · received {at(record.received_at)}{revision}"


def _gone(erased: Erasing, at: "_Clock") -> str:
    by, why = (f" by {text(erased.by)}" if erased.by else ""), (f": {text(erased.why)}" if erased.why else "")
    return f'<p class="so-line so-note">Its content was erased {at(erased.at)}{by}{why}. What was decided of it stays.</p>'


def _true(each: Fact, setting: Setting, at: "_Clock") -> str:
    seen = f", seen by {text(each.source)}" if each.source else ""
    said = "no label fits" if each.label is None else text(setting.project.title_of(each.label))
    return f"{at(each.known_at)}: <b>{said}</b>{seen}"


def _stood(each: Stood, setting: Setting, at: str) -> str:
    return f"{at}: <b>{_label(each.label, setting)}</b>, {text(each.source)}, revision {each.revision}"


def _did(each: Act, at: str) -> str:
    return f"{at}: {text(each.verb)} by {text(each.actor or 'the worker')} through {text(each.via)}"


def _section(title: str, entries: Iterable[str]) -> str:
    items = "".join(f"<li>{each}</li>" for each in entries)
    return f'<h3 class="so-title">{title}</h3><ul class="so-list">{items}</ul>' if items else ""


def _input(record: Record, setting: Setting, pictures: Pictures) -> str:
    project = setting.project
    if project.input.type == "image":
        held = record.input.get(next(iter(project.input.features))) or {}
        picture = pictures(str(held.get("blob", "")))
        body = case_html.picture(picture.uri if picture else None, project.noun, pixels=bool(picture and picture.tiny))
    else:
        body = case_html.values(project, record.input)

    def uri(sha: str) -> str | None:
        found = pictures(sha)
        return found.uri if found else None

    groups = _section("Groups", (f"{text(name)}: {text(value)}" for name, value in record.groups.items()))
    return body + case_html.shown(project, record.show, uri, record.item_id) + groups


def _predictions(record: Record, setting: Setting) -> Iterable[str]:
    for version, chances in record.predictions.items():
        ranked = sorted(chances.items(), key=lambda pair: -pair[1])
        yield f"model version {text(version)}: {', '.join(_chances(ranked, setting))}"


def _chances(pairs: Sequence[tuple[str, float]], setting: Setting) -> Iterable[str]:
    return (f"{text(setting.project.title_of(label))} {percent(p, 1)}" for label, p in pairs[:10])


def _routed(each: Routed, setting: Setting, at: str) -> str:
    chance = f"chance of a human label {percent(each.pi)}"
    how = f"{ROUTES.get(each.route, each.route)}: {text(each.reason)}"
    rule = f"rule {each.rule_id} ({text(each.level)}), policy version {each.policy_version_id}"
    return f"{at}: {how}; {_label(each.label, setting)}; {chance}; {rule}, model version {text(each.model_version)}"


def _draw(each: dict[str, object]) -> str:
    resolved = f", resolved as {text(each['resolved_as'])}, loss {text(each['loss'])}" if each.get("resolved_as") else ", open"
    return f"{text(each['purpose'])} with probability {text(each['p'])}{resolved}"


def _judged(each: Judged, record: Record, setting: Setting, at: Callable[[datetime], str]) -> str:
    person = text(each.person) + (f" (recorded by {text(each.recorded_by)})" if each.recorded_by else "")
    answer = f" <b>{_label(each.label, setting)}</b>" if each.label is not None else ""
    blind = ", blind" if each.blind and each.stage == "first" else ""
    said = "answered" if each.stage == "first" else VERDICTS.get(each.verdict, text(each.verdict))
    why = "".join(
        f"; {name}: <bdi>{text(value)}</bdi>" for name, value in (("reason", each.reason), ("comment", each.comment)) if value
    )
    took = f"; {each.seconds:.0f} s" if each.seconds is not None else ""
    many = ", one of many at once" if each.among_many else ""
    back = f"; <b>taken back {at(each.taken_back_at)}</b>" if each.taken_back_at else ""
    return f"{at(each.at)}: {person} {said}{answer}{blind}{many}{why}{took}{_saw(each, record)}{back}"


def _saw(each: Judged, record: Record) -> str:
    """Which reasons were on the screen, and whether they were opened."""
    hashes = {shown.rpartition(":")[2] for shown in each.reasons_shown or ()}
    names = [reasons_html.heading(reason) for reason in record.explanations if reason.hash in hashes]
    if not names:
        return ""
    return f"; saw the reasons by {', '.join(dict.fromkeys(names))}{', in full' if each.reasons_opened else ''}"


def _label(label: str | None, setting: Setting) -> str:
    return "no label" if label is None else text(setting.project.title_of(label))


def _reasons(record: Record, setting: Setting) -> str:
    if not record.explanations:
        return ""
    project, made = setting.project, reasons_html.ahead(record.explanations)
    small = reasons_html.small_print(record.explanations, project.title_of)
    if project.input.type == "image" or not reasons_html.usable(made):
        return f'<h3 class="so-title">Reasons of the model</h3>{small}'
    first = next(iter(project.input.features))
    if project.input.type == "text":
        drawn = marks.words(str(record.input.get(first) or ""), made)
    else:
        drawn = bars.table(project, record.input, made)
    return f'<h3 class="so-title">Reasons of the model</h3>{drawn}{small}'
