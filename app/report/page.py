"""The report as one HTML file: no script, no request to anywhere, a table behind every picture; it prints, light and dark."""

from collections.abc import Iterator, Sequence
from functools import cache
from zoneinfo import ZoneInfo

from app.report import pictures
from app.report.records import Between, Cut, Grouped, Report, Signed, Versioned
from app.ui import formats, frame
from app.ui.draw import autonomy as drawn
from app.ui.draw import charts, over_time
from app.ui.formats import number, percent, text
from review_queue import agreement, terms
from review_queue.acted import Wrong
from review_queue.steps import Step

STYLES = ("desk.css", "insights.css")
"""Of the desk's own style what pictures and tables need."""
_OWN = """
:root { color-scheme: light dark; } @media (prefers-color-scheme: light) { :root { color-scheme: light; } }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.2rem 4rem; font: 16px/1.55 system-ui, sans-serif;
  background: var(--so-page, Canvas); color: var(--so-ink, CanvasText); }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; padding-top: .8rem; border-top: 1px solid var(--line); }
h3.so-title { margin-top: 1.4rem; } p, li { max-width: 46rem; }
.so-begin { font-size: 1.1rem; } .so-begin b { font-variant-numeric: tabular-nums; } a { color: inherit; }
.so-scroll { margin: .4rem 0 1rem; } 
.so-grid thead th, .so-grid tbody th { white-space: nowrap; } .so-grid td { overflow-wrap: break-word; }
 .so-grid td.so-num { text-align: end; }
.so-span { position: relative; display: block; min-width: 7rem; height: 1rem; background: var(--ground); border-radius: 2px; }
.so-span i { position: absolute; top: .4rem; height: .2rem; background: currentColor; opacity: .6; print-color-adjust: exact; }
.so-span b { position: absolute; top: .15rem; width: .4rem; height: .7rem; margin-left: -.2rem; border-radius: 2px;
  background: var(--pro); print-color-adjust: exact; }
@media (max-width: 700px) { .so-feet small:not(:first-child, :last-child) { display: none; }
  .so-grid td, .so-grid th { font-size: .8125rem; } }
.so-span s { position: absolute; top: 0; bottom: 0; border-left: 2px dashed var(--con); }
@media print { body { max-width: none; padding: 0; font-size: 11pt; } h2 { break-after: avoid; }
  section, tr { break-inside: avoid; } .so-scroll { overflow: visible !important; max-height: none !important; }
  details::details-content { content-visibility: visible; display: block; height: auto; } }
"""
DOES_NOT_SAY = (
    "That any single answer is right: it speaks of shares.",
    "That next week is safe: it speaks of the days above. Checks go on, and what they find later takes automation back.",
    "That what people decided is right: it holds what acted alone against people's blind answers. Where both are wrong alike "
    "nothing here shows it, but for the known answers that are mixed into their work.",
    "Anything of a label, segment or group that is not listed. Of one called unknown it says nothing, least of all that it is "
    "treated alike.",
    "Why groups differ, and which difference is acceptable: that is for people to judge.",
)
READINGS = (
    "A group whose cases go to people more often is looked at more closely and waits longer; one whose cases act alone more "
    "often gets its answer sooner and is looked at less. Both readings hold; which weighs more depends on what an answer means "
    "to whoever gets it."
)


def page(report: Report, zone: ZoneInfo) -> str:
    """The whole file. `zone`: in which times are written."""
    title = f"What acted alone: {report.title}"
    body = "".join(
        f'<section aria-labelledby="{name}"><h2 id="{name}">{text(heading)}</h2>{"".join(parts)}</section>'
        for name, heading, parts in _sections(report, zone)
    )
    first, last, made = report.period.first, report.period.last, formats.moment(report.made_at, zone)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta name="color-scheme" content="light dark"><title>{text(title)}</title><style>{_style()}{_OWN}</style></head>'
        f"<body><main><h1>{text(title)}</h1>"
        f'<p class="so-note">{first} to {last}, days in UTC. Made {made} ({text(zone.key)}) by Signoff.</p>'
        f"{body}</main></body></html>"
    )


@cache
def _style() -> str:
    return "".join((frame.KEPT / name).read_text(encoding="utf-8") for name in STYLES)


def _sections(report: Report, zone: ZoneInfo) -> Iterator[tuple[str, str, Iterator[str]]]:
    yield "short", "In short", _short(report)
    yield "wrong", "How often what acted alone was wrong", _wrong(report)
    yield "groups", "By group", _groups(report)
    yield "people", "What people did", _people(report)
    yield "signed", "Who signed what, and on which numbers", _signed(report, zone)
    yield "rests", "What it rests on", _rests(report, zone)
    yield "limits", "What this does not say", iter([_list(DOES_NOT_SAY)])


# In short


def _short(report: Report) -> Iterator[str]:
    noun, alone, asked = report.noun, report.routes.get("auto", 0), report.routes.get("review", 0)
    yield (
        f'<p class="so-begin"><b>{number(alone)}</b> of {formats.count(alone + asked, noun)} acted alone '
        f"({percent(agreement.rate(alone, alone + asked).value, 1)}); the others went to people. "
        f"{_said(report.overall) if alone else ''}</p>"
    )
    if not report.whole:
        yield f"<p>These are the latest {number(report.shown)} of the period; older ones are not looked at here.</p>"
    yield f"<p>{_standing(report)}</p>"
    if report.in_force:
        yield _list(report.in_force)
    if report.played.part:
        yield (
            f"<p><b>{number(report.played.part)} of {formats.count(report.played.of, 'answer')}</b> were given by known answers "
            "that play the operator, not by people.</p>"
        )


def _said(wrong: Wrong) -> str:
    """How often it was wrong, in a sentence."""
    of = f"{number(wrong.wrong)} of {formats.count(wrong.checked, 'spot check')} found an error"
    if not wrong.known:
        return f"How often they were wrong is <b>unknown</b>: {of}, and a share takes {number(wrong.needed)} checks."
    between = f"between {percent(wrong.low, 2)} and {percent(wrong.high, 2)}"
    return f"About <b>{percent(wrong.share, 2)}</b> of them were wrong, {between}: {of}."


def _standing(report: Report) -> str:
    if report.frozen_at is not None:
        return "Automation is frozen: every new case goes to people."
    if not report.in_force:
        return "Nothing acts alone now."
    if report.autonomy == "earned":
        return "Autonomy is earned: a threshold moves only as far as checked answers prove. What acts alone now:"
    return "Autonomy is set: thresholds act as their owners wrote them, and evidence is kept beside. What acts alone now:"


# How often it was wrong


def _wrong(report: Report) -> Iterator[str]:
    yield (
        "<p>Of what acts alone a secret draw sends some to people, who answer without seeing the prediction. Each check counts "
        "at one over its chance of being drawn. Limits: 95 % confidence (Wilson, for the effective number of checks). At most "
        f"{percent(report.max_error, 1)} may be wrong (dashed).</p>"
    )
    if report.unsettled:
        n = formats.count(report.unsettled, report.noun)
        yield f"<p>The latest {n} that acted alone are left out: their checks, or earlier ones, are not back.</p>"
    if report.unchecked:
        n = formats.count(report.unchecked, report.noun)
        yield f"<p>{n} acted alone with no chance of a check: nothing is known of them.</p>"
    yield charts.draw(pictures.errors(report.stretches, report.max_error))
    yield _cut_table("By predicted label", "label", report.labels, report.max_error)
    if report.segments:
        yield _cut_table("By segment", "segment", report.segments, report.max_error)


CUT = ("acted alone", "checked", "wrong", "share wrong", "between", "")


def _cut_table(title: str, what: str, cuts: Sequence[Cut], most: float) -> str:
    if not cuts:
        return ""
    top = _top([cut.wrong for cut in cuts], most)
    rows = [[text(cut.name), *_cells(cut.wrong, top, most)] for cut in cuts]
    return f"{_table(title, (what, *CUT), rows)}"


def _top(found: Sequence[Wrong], most: float) -> float:
    """The end of the scale: a little over the highest limit, or the line where nothing is known."""
    return min(1.1 * max([2 * most, *(wrong.high for wrong in found if wrong.high is not None)]), 1.0)


def _cells(wrong: Wrong, top: float, most: float) -> list[str]:
    counts = [number(wrong.alone), number(wrong.checked), number(wrong.wrong)]
    if wrong.share is None or wrong.low is None or wrong.high is None:
        return [*counts, "<b>unknown</b>", f"fewer than {number(wrong.needed)} checks", ""]
    between = f"{percent(wrong.low, 2)} to {percent(wrong.high, 2)}"
    return [*counts, percent(wrong.share, 2), between, pictures.span(wrong.share, wrong.low, wrong.high, top, most)]


# Groups


def _groups(report: Report) -> Iterator[str]:
    if not report.groups:
        yield "<p>The project names no groups of people, so nothing is compared. They are named under "
        yield "<code>groups</code> in project.yaml.</p>"
        return
    yield f"<p>{READINGS}</p>"
    for grouped in report.groups:
        yield f'<h3 class="so-title">{text(grouped.name)}</h3>'
        yield from _group(grouped, report)


def _group(grouped: Grouped, report: Report) -> Iterator[str]:
    if not grouped.parts:
        yield "<p>Too few cases to show.</p>"
        return
    reviewed = [
        [
            text(part.name),
            number(part.routed),
            _limited(part.reviewed),
            _rate(part.overridden),
            "–" if part.seconds is None else f"{number(round(part.seconds, 1))} s",
            "–" if part.hours is None else f"{number(round(part.hours, 1))} h",
        ]
        for part in grouped.parts
    ]
    head = ("value", "cases", "went to people", "overridden there", "median answer", "median from arrival to answer")
    yield _table(f"How cases by {grouped.name} are handled", head, reviewed)
    top = _top([part.wrong for part in grouped.parts], report.max_error)
    rows = [[text(part.name), *_cells(part.wrong, top, report.max_error)] for part in grouped.parts]
    yield _table(f"How often what acted alone was wrong, by {grouped.name}", ("value", *CUT), rows)
    yield f"<p>{_between(grouped.between)}</p>"
    if grouped.left_out:
        yield f'<p class="so-note">{formats.count(grouped.left_out, "value")} with too few cases left out.</p>'


def _limited(rate: agreement.Rate) -> str:
    return f"{percent(rate.value, 1)} <small>({percent(rate.low, 1)} to {percent(rate.high, 1)})</small>"


def _rate(rate: agreement.Rate) -> str:
    return "–" if rate.value is None else f"{percent(rate.value, 1)} <small>of {number(rate.of)}</small>"


def _between(found: Between | None) -> str:
    if found is None:
        return "How far apart the errors lie is <b>unknown</b>: fewer than two of them have enough checks."
    names = ", ".join(map(text, found.names))
    ratio = ""
    if found.ratio is not None:
        held = (
            "" if found.ratio_low is None or found.ratio_high is None else f" ({found.ratio_low:.2f} to {found.ratio_high:.2f})"
        )
        ratio = f" The smallest share is {found.ratio:.2f} of the largest{held}."
    low, high = percent(max(found.difference_low, 0.0), 2), percent(found.difference_high, 2)
    return (
        f"Between {names} the largest share of errors is {percent(found.difference, 2)} above the smallest ({low} to {high})."
        f"{ratio} Limits: 95 % of resamples of the checks; some difference arises by chance alone."
    )


# People


def _people(report: Report) -> Iterator[str]:
    yield charts.draw(over_time.automation(report.trend, report.noun))
    rate = report.overridden
    if rate.value is None:
        yield "<p>People gave no answer to a prediction in this time.</p>"
    else:
        yield (
            f"<p>Of {formats.count(rate.of, 'answer')} to a prediction, {percent(rate.value, 1)} were other than the prediction "
            f"(between {percent(rate.low, 1)} and {percent(rate.high, 1)}).</p>"
        )
    yield f"<p>{_watched(report)}</p>"


def _watched(report: Report) -> str:
    held = report.watched
    if held is None or not held.n:
        return "Whether people see errors is <b>unknown</b>: no known wrong prediction was given to them unseen."
    of = f"Of {formats.count(held.n, 'known wrong prediction')} given to people unseen, they agreed with {number(held.missed)}."
    proof = "It is proven" if held.proven else "It is not proven yet"
    return f"{of} {proof} that they miss less than {percent(held.most)} of errors."


# Signatures


def _signed(report: Report, zone: ZoneInfo) -> Iterator[str]:
    if report.steps:
        yield _table("Steps of autonomy, newest first", STEP, [_step(each, zone) for each in report.steps])
    else:
        yield "<p>No step of autonomy was taken so far.</p>"
    if report.signed:
        yield _table(
            "Models put up for signing", ("when", "what", "signed by", "state"), [_model(m, zone) for m in report.signed]
        )


STEP = ("when", "whose", "step", "cause", "numbers", "signed by")


def _step(step: Step, zone: ZoneInfo) -> list[str]:
    state = "" if step.state == "applied" else f" <small>({text(step.state)}, {step.signers} needed)</small>"
    return [
        formats.moment(step.made_at, zone),
        text(terms.called(step.unit)),
        f"{text(step.from_level)} → {text(step.to_level)}",
        text(step.cause),
        text(drawn.grounds(step.grounds)),
        f"{text(drawn.who(step))}{state}",
    ]


def _model(each: Signed, zone: ZoneInfo) -> list[str]:
    names = f"{text(', '.join(each.signed_by) or 'nobody')} <small>({len(each.signed_by)} of {each.signers})</small>"
    return [formats.moment(each.applied_at or each.made_at, zone), text(each.what), names, text(each.state)]


# What it rests on


def _rests(report: Report, zone: ZoneInfo) -> Iterator[str]:
    head = ("which", "what", "by", "since")
    for title, versions in (("Policies, newest first", report.policies), ("Models, newest first", report.models)):
        if versions:
            yield _table(title, head, [_version(each, zone) for each in versions])
    if report.notices:
        rows = [[formats.moment(n.opened_at, zone), text(n.said), formats.moment(n.closed_at, zone)] for n in report.notices]
        yield _table("Notices, newest first", ("since", "what", "closed"), rows)
    else:
        yield "<p>No alarm was raised and no drift was noticed. That proves nothing: such tests miss some changes.</p>"


def _version(each: Versioned, zone: ZoneInfo) -> list[str]:
    return [text(each.name), text(each.said), text(each.by or "–"), formats.moment(each.at, zone)]


def _list(sentences: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{text(each)}</li>' for each in sentences)}</ul>"


def _table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML already; the first of a row names it."""
    titles = "".join(f'<th scope="col">{text(each)}</th>' if each else '<td aria-hidden="true"></td>' for each in head)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in rows
    )
    return (
        f'<div class="so-scroll" tabindex="0" role="region" aria-label="{text(caption)}"><table class="so-grid">'
        f"<caption>{text(caption)}</caption><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"
    )
