"""How far autonomy has climbed and on which evidence, as HTML: the ladder, scales, thresholds, conditions; and its history."""

from collections.abc import Sequence
from datetime import datetime
from math import exp, log
from typing import Any
from zoneinfo import ZoneInfo

from app.ui import formats
from app.ui.draw import charts
from app.ui.draw.charts import Chart, Spot
from app.ui.draw.numbers import Head, Table
from app.ui.formats import count, number, percent, text
from review_queue import terms
from review_queue.autonomy import Overview, Unit
from review_queue.evidence import Band, Evidence
from review_queue.ladder import Rise
from review_queue.steps import Grounds, Step

STEPS = "steps"
"""What the history is called as a file."""
ERRORS = "errors"
"""What the errors of what acted alone are called as a file."""
RUNGS = (
    ("shadow", "People decide. They are shown nothing of the model."),
    ("assist", "People decide every case, first without the prediction, then with it."),
    ("audited", "Acts alone from its threshold. A large part of that is spot-checked."),
    ("floor", "Acts alone from its threshold. As little is checked as an alarm within two weeks allows."),
)
NO_NUMBERS = "no numbers"
BANDS = ("from", "cases", "checked", "wrong", "share wrong", "at most", "E", "")
HEAD: Head = (
    ("made", "text"), ("whose", "text"), ("kind", "text"), ("from level", "text"), ("to level", "text"), ("cause", "text"),
    ("numbers", "text"), ("E", "number"), ("alpha", "number"), ("delta", "number"), ("signed by", "text"), ("signers", "count"),
    ("state", "text"), ("code", "text"),
)  # fmt: skip


# In words


def headline(found: Overview) -> str:
    """In one sentence what acts alone, and why."""
    if found.frozen_at is not None:
        return "Nothing acts alone: automation is frozen, and every new case goes to people."
    if found.evidence is None:
        return "Nothing acts alone: no model acts yet."
    acting = [each for each in found.units if each.threshold is not None]
    if not acting:
        return "Nothing acts alone: every case goes to people, " + _why_none(found)
    said = "; ".join(f"{_whose(each, found)} from confidence {each.threshold:g} on" for each in acting[:4])
    more = f"; and {len(acting) - 4} more" if len(acting) > 4 else ""
    why = "as the policy says" if found.autonomy == "set" else "as far as checked answers prove"
    return f"Acts alone, {why}: {said}{more}."


def _why_none(found: Overview) -> str:
    if found.autonomy == "set":
        return "as the policy says."
    if found.level == "shadow":
        return "who are shown nothing of the model."
    return "since not enough is proven yet."


def _whose(unit: Unit, found: Overview) -> str:
    return "every case" if len(found.units) == 1 else unit.called


def allows(found: Overview) -> str:
    """Under `set`, what evidence would allow."""
    is_set = "Autonomy is set: thresholds act as written, and evidence is kept beside."
    return f"{is_set} What earned autonomy would let act alone now is {found.allows}."


def asked(unit: Unit) -> str:
    """What the policy asks for beside what is granted."""
    if unit.wish is None:
        return "The policy lets nothing act alone here."
    granted = "nothing" if unit.threshold is None else f"{unit.threshold:g}"
    return f"Asked {unit.wish:g}, granted {granted}."


# One unit


def ladder(level: str) -> str:
    """The rungs, with the one that is stood on; nothing of it under `set`."""
    if level not in dict(RUNGS):
        return ""
    at = [name for name, _ in RUNGS].index(level)
    rungs = "".join(_rung(n, name, said, at) for n, (name, said) in enumerate(RUNGS))
    return f'<ol class="so-ladder" aria-label="The rungs of autonomy, lowest first">{rungs}</ol>'


def _rung(n: int, name: str, said: str, at: int) -> str:
    here = ' aria-current="step"' if n == at else ""
    kind = "so-here" if n == at else "so-passed" if n < at else "so-ahead"
    mark = "<small>stands here</small>" if n == at else ""
    return f'<li class="{kind}"{here}><b>{name}</b>{mark}<span>{text(said)}</span></li>'


def facts(unit: Unit, zone: ZoneInfo) -> str:
    """Since when, how much is checked, and what was asked for and granted."""
    parts = [asked(unit)]
    if unit.threshold is not None:
        parts.append(f"{percent(unit.rate, 1)} of what acts alone is spot-checked.")
    if unit.since is not None:
        parts.append(f"Since {formats.moment(unit.since, zone)}.")
    return f'<p class="so-line">{text(" ".join(parts))}</p>'


def conditions(rise: Rise) -> str:
    """What the next step up takes, condition by condition."""
    rows = "".join(
        f'<li class="{"so-met" if each.met else "so-open"}"><b>{"met" if each.met else "open"}</b> {text(each.said)}</li>'
        for each in rise.conditions
    )
    to = step_up(rise)
    left = sum(not each.met for each in rise.conditions)
    said = "every condition is met" if not left else f"{count(left, 'condition')} of {len(rise.conditions)} to go"
    return f'<h4 class="so-title">Next: {text(to)} <small>{said}</small></h4><ul class="so-conditions">{rows}</ul>'


def step_up(rise: Rise) -> str:
    """What a rise leads to."""
    to = "a lower threshold" if rise.from_level == "floor" else rise.to_level
    return to if rise.threshold is None else f"{to}, from {rise.threshold:g} on"


def bands(unit: Unit, zone: ZoneInfo) -> str:
    """Every threshold that evidence is kept of, strictest first."""
    shown = [each for each in unit.ledger.bands if each.n]
    if not shown:
        return '<p class="so-line so-note">No case has reached a threshold of this evidence period yet.</p>'
    titles = "".join(f'<th scope="col">{each}</th>' if each else "<td></td>" for each in BANDS)
    body = "".join(_band(each, unit, zone) for each in shown)
    caption = f"Evidence by threshold, strictest first; at most {percent(unit.ledger.alpha, 2)} may be found wrong"
    return (
        f'<div class="so-scroll" tabindex="0" role="region" aria-label="{text(caption)}"><table class="so-grid so-bands">'
        f"<caption>{text(caption)}</caption><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"
        f"{_risen(shown, unit)}"
    )


def _risen(shown: Sequence[Band], unit: Unit) -> str:
    """Limits speak of all the time since the period began: where errors rose they lie below the share itself."""
    if not any(each.drawn >= unit.enough and (each.estimate or 0.0) > each.upper for each in shown):
        return ""
    return (
        '<p class="so-line so-note">A share above its limit has risen: "at most" and E say that there was a time in which fewer '
        "were wrong, not that now fewer are. The detector watches what is now.</p>"
    )


def _band(band: Band, unit: Unit, zone: ZoneInfo) -> str:
    enough = band.drawn >= unit.enough
    share = f"{percent(band.estimate, 2)} <small>± {percent(band.se, 2)}</small>" if enough else "<small>not enough</small>"
    cells = (
        number(band.n),
        f"{number(band.drawn)}{'' if enough else f' <small>of {number(unit.enough)}</small>'}",
        number(band.errors),
        share,
        percent(band.upper, 2),
        e_scale(band.log_e, unit.ledger.line),
        text(_marks(band, unit, zone)),
    )
    acts = ' class="so-acts"' if band.threshold == unit.threshold else ""
    return f'<tr{acts}><th scope="row">{band.threshold:g}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _marks(band: Band, unit: Unit, zone: ZoneInfo) -> str:
    held = []
    if band.certified_at is not None:
        held.append(f"certified since {band.certified_at.astimezone(zone):%Y-%m-%d}")
    if band.threshold == unit.threshold:
        held.append("acts from here")
    if band.threshold == unit.wish:
        held.append("asked for")
    return ", ".join(held)


def e_scale(log_e: float, line: float) -> str:
    """An e-value on a scale of powers up to the line where a threshold is certified."""
    return _scale(log_e / line, ((1.0, "line"),), f"{e_value(log_e)} of {number(round(exp(line)))}")


def e_value(log_e: float) -> str:
    """E from its logarithm, as short as it can be said."""
    value = exp(min(log_e, 700.0))
    return f"{value:.2g}" if value < 10 else number(round(value)) if value < 1e5 else f"{value:.0e}"


def detector(unit: Unit) -> str:
    """M of the detector against its lines."""
    if unit.threshold is None and not unit.checks:
        return '<p class="so-line so-note">The detector watches spot checks of what acts alone; there are none.</p>'
    errors, n = sum(each.errors for each in unit.checks), sum(each.n for each in unit.checks)
    top = log(1 + unit.alarm)
    lines = ((log(1 + unit.warn) / top, "warning"), (1.0, "alarm"))
    scale = _scale(log(1 + unit.m) / top, lines, f"M {number(float(f'{unit.m:.3g}'))}")
    said = (
        f"{number(errors)} wrong in {count(n, 'spot check')} since this threshold acts. Warning at {number(unit.warn)}, alarm at "
        f"{number(unit.alarm)}: an alarm takes automation back by itself."
    )
    return f'<div class="so-watch"><h4 class="so-title">Detector</h4>{scale}<p class="so-note">{text(said)}</p></div>'


def _scale(at: float, lines: Sequence[tuple[float, str]], said: str) -> str:
    """A bar up to 1.25 with marks; the number stands beside it."""
    room = 1.25
    marks = "".join(f'<s style="left:{100 * each / room:.1f}%" title="{name}"></s>' for each, name in lines)
    kind = "so-over" if at >= 1 else ""
    width = 100 * min(max(at, 0.0), room) / room
    return (
        f'<span class="so-cell"><span class="so-scale {kind}" aria-hidden="true"><i style="width:{width:.1f}%"></i>{marks}</span>'
        f'<small class="so-num">{text(said)}</small></span>'
    )


# Many units


def units(found: Overview) -> str:
    """All units side by side."""
    head = ("whose", "rung", "asked", "granted", "checked", "wrong", "E", "next")
    titles = "".join(f'<th scope="col">{each}</th>' for each in head)
    body = "".join(_unit(each) for each in found.units)
    return (
        '<div class="so-scroll so-tall" tabindex="0" role="region" aria-label="Units"><table class="so-grid">'
        f"<caption>Whose evidence</caption><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _unit(unit: Unit) -> str:
    band = unit.ledger.at(unit.threshold) or unit.ledger.at(unit.rise.threshold) or next(iter(unit.ledger.bands), None)
    cells = [
        text(unit.level),
        "–" if unit.wish is None else f"{unit.wish:g}",
        "–" if unit.threshold is None else f"{unit.threshold:g}",
        "–" if band is None else number(band.drawn),
        "–" if band is None else number(band.errors),
        "–" if band is None else e_scale(band.log_e, unit.ledger.line),
        "ready" if unit.rise.ready else text(next((c.said for c in unit.rise.conditions if not c.met), "–")),
    ]
    return f'<tr><th scope="row">{text(unit.called)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


# The project as a whole


def period(found: Evidence, zone: ZoneInfo) -> str:
    """Since when evidence is kept, how far it is counted, and whether people see errors."""
    since = formats.moment(found.opened_at, zone)
    counted = "all cases are counted" if found.watermark is None else "cases are counted up to the first whose check is not back"
    parts = [f"Evidence is kept since {since}. {count(found.open_draws, 'check')} not back: {counted}."]
    anew = [f"{each.called} on {formats.moment(found.begun(each), zone)}" for each in found.units.values() if each.begun > 1]
    if anew:
        parts.append(f"After an alarm it began anew: {'; '.join(anew)}.")
    held = found.vigilance
    if held.most == 0:
        parts.append("The policy takes people to see every error.")
    else:
        state = "proven" if held.proven else "not proven yet"
        parts.append(
            f"Of {count(held.n, 'known wrong prediction')} mixed into their work unseen, people agreed with "
            f"{number(held.missed)}; that they miss less than {percent(held.most)} is {state} (E {e_value(held.log_e)} of "
            f"{number(round(exp(held.needed_log_e)))})."
        )
    return f'<p class="so-line">{text(" ".join(parts))}</p>'


# Steps


def offer(step: Step, zone: ZoneInfo) -> str:
    """A rise that waits for names, with the numbers it rests on."""
    signed = ", ".join(step.signed_by) or "nobody yet"
    return (
        f'<div class="so-offer"><b>{text(terms.called(step.unit))}: {text(step.from_level)} → {text(step.to_level)}</b> '
        f"{text(step.cause)}<br><small>{text(_numbers(step.grounds))}Put up {formats.moment(step.made_at, zone)} by "
        f"{text(step.made_by or 'Signoff itself')}; signed by {text(signed)}, "
        f"{len(step.signed_by)} of {step.signers}.</small></div>"
    )


def grounds(held: Grounds) -> str:
    """Counts, e-value, error and chance of being wrong, of a step."""
    parts = [_counted(name, value, "drawn" in held.counts) for name, value in held.counts.items() if _plain(value)]
    if held.log_e is not None:
        parts.append(f"E {e_value(held.log_e)}")
    if held.alpha is not None:
        parts.append(f"at most {percent(held.alpha, 2)} wrong")
    if held.delta is not None:
        parts.append(f"chance of being wrong {percent(held.delta, 1)}")
    return ", ".join(parts) or NO_NUMBERS


def _counted(name: str, value: Any, whole: bool) -> str:
    """One count in words. `whole`: the cases were counted, and not the spot checks alone."""
    if name == "threshold":
        return f"from {value:g}"
    if name in ("estimate", "upper"):
        return f"{percent(value, 2)} estimated" if name == "estimate" else f"{percent(value, 2)} at most"
    named = {"n": "cases" if whole else "spot checks", "drawn": "looked at", "errors": "wrong", "late": "not looked at in time"}
    if name in named:
        return f"{number(value)} {named[name]}"
    return f"{'detector' if name == 'm' else name.replace('_', ' ')} {_value(value)}"


def _numbers(held: Grounds) -> str:
    """The grounds as a sentence; nothing where a step rests on none, as lifting a freeze does."""
    said = grounds(held)
    return "" if said == NO_NUMBERS else f"{said}. "


def _plain(value: object) -> bool:
    return isinstance(value, (int, float, str)) and not isinstance(value, bool)


def _value(value: object) -> str:
    return number(round(value, 4)) if isinstance(value, (int, float)) else str(value)


def row(step: Step, zone: ZoneInfo) -> tuple[str, ...]:
    """A step as cells of the history."""
    state = "" if step.state == "applied" else f" <small>{text(step.state)}</small>"
    return (
        formats.moment(step.made_at, zone),
        text(terms.called(step.unit)),
        f"<b>{text(step.from_level)} → {text(step.to_level)}</b>{state}",
        text(step.cause),
        f"<small>{text(grounds(step.grounds))}</small>",
        text(who(step)),
    )


def who(step: Step) -> str:
    """Who answers for a step."""
    if step.signed_by:
        short = f" ({len(step.signed_by)} of {step.signers})" if len(step.signed_by) < step.signers else ""
        return ", ".join(step.signed_by) + short
    return step.made_by or "by itself"


def table(found: Sequence[Step]) -> Table:
    """The steps as a file."""
    return Table(STEPS, "Steps of autonomy", HEAD, tuple(map(_cells, found)))


def _cells(step: Step) -> tuple[str | int | float | None, ...]:
    held = step.grounds
    return (
        step.made_at.isoformat(), terms.called(step.unit), step.kind, step.from_level, step.to_level, step.cause, grounds(held),
        None if held.log_e is None else exp(min(held.log_e, 700.0)), held.alpha, held.delta, ", ".join(step.signed_by),
        step.signers, step.state, step.code_version,
    )  # fmt: skip


def granted(found: Sequence[Step], unit: str, now: datetime, zone: ZoneInfo, link: str | None = None) -> Chart | None:
    """From which threshold on a unit acted alone, over time; gaps where nothing did. None where it never took a step."""
    mine = [
        each for each in reversed(found) if each.unit == unit and each.state == "applied" and each.wanted.standing is not None
    ]
    if not mine:
        return None
    begin = _at(mine[0])
    x = charts.Axis(0.0, max((now - begin).total_seconds(), 1.0), _days(begin, now, zone))
    spots: list[Spot] = []
    for each, after in zip(mine, [*map(_at, mine[1:]), now], strict=True):
        level, at = each.to_level, each.wanted.standing.threshold if each.wanted.standing else None
        said = f"{_at(each).astimezone(zone):%Y-%m-%d}: {level}" + ("" if at is None else f" from {at:g} on")
        spots += [Spot((moment - begin).total_seconds(), at, said=said) for moment in (_at(each), after)]
        spots.append(Spot((after - begin).total_seconds(), None))
    rows = tuple(_granted(each, zone) for each in mine)
    y = charts.Axis(0.0, 1.0, tuple((k / 4, f"{k / 4:g}") for k in range(5)))
    said = f"The threshold that was granted to {terms.called(unit)}; where there is no line, nothing acted alone."
    aloud = "; ".join(dict.fromkeys(spot.said for spot in spots if spot.said))
    head: Head = (("since", "text"), ("rung", "text"), ("threshold", "number"), ("spot-checked", "share"))
    shapes = (charts.line(spots, x, y),)
    return Chart("Threshold granted, over time", x, y, shapes, aloud, said, Table(STEPS, "Steps of autonomy", head, rows), link)


def _at(step: Step) -> datetime:
    return step.ended_at or step.made_at


def _granted(step: Step, zone: ZoneInfo) -> tuple[str, str, float | None, float | None]:
    standing = step.wanted.standing
    rate = standing.rate if standing is not None and standing.acts else None
    return formats.moment(_at(step), zone), step.to_level, standing.threshold if standing else None, rate


def _days(begin: datetime, now: datetime, zone: ZoneInfo) -> tuple[tuple[float, str], ...]:
    """A name at each quarter of the time."""
    whole = (now - begin).total_seconds()
    return tuple((whole * k / 4, f"{(begin + (now - begin) * k / 4).astimezone(zone):%d %b}") for k in range(5))
