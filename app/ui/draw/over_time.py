"""Figures of a period over time, as pictures with numbers: what acted alone and was overridden, pace, backlog and waiting."""

from collections.abc import Sequence
from datetime import date

from app.ui import formats
from app.ui.draw import charts, numbers
from app.ui.draw.charts import Axis, Chart, Spot
from app.ui.draw.numbers import Cell, Head, Table, between
from app.ui.formats import number, percent
from contract.policy import Calendar
from review_queue.agreement import Rate
from review_queue.forecast import AHEAD, BEHIND, LEAST, Forecast
from review_queue.pace import LONGEST, Hourly, Mean, Quantile, Waits
from review_queue.periods import Period
from review_queue.trends import Stretch, Trend

DAYS = "Days are in UTC. "
SCORE = "Shaded: 95 % confidence (Wilson)."
FROM_TO: Head = (("from", "text"), ("to", "text"))
RATE: Head = (("share", "share"), ("low", "share"), ("high", "share"))
UNITS = ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


def automation(trend: Trend, noun: str, link: str | None = None) -> Chart:
    """Of what was routed, what acted alone."""
    said = _share(trend.automation, f"routed {noun}", "acted alone")
    return _rates(
        "automation", "Acted alone", trend.stretches, "automation", ("alone", f"routed {formats.plural(noun)}"), said, link
    )


def override(trend: Trend, link: str | None = None) -> Chart:
    """Of people's answers to a prediction, what is not the prediction."""
    said = _share(trend.override, "answer", "were other than the prediction")
    note = "Of answers that the rule or a draw asked for, to cases with a prediction; what was taken back is not counted."
    names = ("overridden", "answers to a prediction")
    return _rates("override", "Overridden", trend.stretches, "override", names, f"{said} {note}", link)


def _share(rate: Rate, noun: str, did: str) -> str:
    if rate.value is None:
        return f"No {formats.plural(noun)} in this period."
    what = numbers.of(rate.part, rate.of, noun)
    return f"{percent(rate.value, 1)} {did}: {what}, {between(rate.low, rate.high)}."


def _rates(
    name: str, title: str, held: Sequence[Stretch], which: str, nouns: tuple[str, str], said: str, link: str | None
) -> Chart:
    rates: list[Rate] = [getattr(each, which) for each in held]
    x, y = charts.named([day(each.period) for each in held]), charts.shares([rate.high for rate in rates])
    spots = [
        Spot(k, rate.value, rate.low, rate.high, _said(each.period, rate))
        for k, (each, rate) in enumerate(zip(held, rates, strict=True))
    ]
    head = (*FROM_TO, (nouns[0], "count"), (nouns[1], "count"), *RATE)
    rows = [
        (*_ends(each.period), rate.part, rate.of, rate.value, rate.low, rate.high) for each, rate in zip(held, rates, strict=True)
    ]
    shapes = (charts.band(spots, x, y), charts.line(spots, x, y))
    table = Table(name, f"{title}, {_by(held)}", head, tuple(rows))
    return Chart(f"{title}, over time", x, y, shapes, _aloud(spots), f"{said} {DAYS}{SCORE}", table, link)


def _said(period: Period, rate: Rate) -> str:
    if rate.value is None:
        return ""
    return f"{day(period)}: {percent(rate.value, 1)} ({number(rate.part)} of {number(rate.of)}), {between(rate.low, rate.high)}"


def decided(trend: Trend, noun: str, link: str | None = None) -> Chart:
    """How many came in and how many were decided by people."""
    held = trend.stretches
    x = charts.named([day(each.period) for each in held])
    y = charts.counts([max(each.items, each.decided) for each in held])
    came = [Spot(k, each.items, said=f"{day(each.period)}: {number(each.items)} came in") for k, each in enumerate(held)]
    done = [Spot(k, each.decided, said=f"{day(each.period)}: {number(each.decided)} decided") for k, each in enumerate(held)]
    rows = tuple((*_ends(each.period), each.items, each.decided, each.open) for each in held)
    head = (*FROM_TO, ("came in", "count"), ("decided by people", "count"), ("open at the end", "count"))
    said = (
        f"{formats.count(trend.items, noun)} came in (bars), {formats.count(trend.decided, 'task')} decided by people (line): "
        f"all there are, so there is no interval. {DAYS}"
    )
    shapes = (charts.bars(came, x, y), charts.line(done, x, y))
    table = Table("decided", f"Came in and decided, {_by(held)}", head, rows)
    return Chart("Came in, and decided by people", x, y, shapes, _aloud(done), said, table, link)


def pace(held: Sequence[Hourly], whole: Hourly, window: str, link: str | None = None) -> Chart:
    """Decisions per hour of work."""
    x, y = charts.named([day(each.period) for each in held]), charts.counts([_shown(each.per_hour) for each in held])
    spots = [Spot(k, p.value, p.low, p.high, _paced(each)) for k, each in enumerate(held) for p in [each.per_hour]]
    head: Head = (
        *FROM_TO, ("timed decisions", "count"), ("mean seconds", "number"), ("decisions an hour", "number"), ("low", "number"),
        ("high", "number"),
    )  # fmt: skip
    rows = tuple(
        (*_ends(e.period), e.seconds.n, e.seconds.value, e.per_hour.value, e.per_hour.low, e.per_hour.high) for e in held
    )
    said = "No decision of this period has its time." if whole.per_hour.value is None else f"{_paced(whole)}."
    note = (
        f"An hour of work is an hour with a case open: 3600 over the mean seconds of a case, of which no case counts more than "
        f"{number(LONGEST)}. Shaded: 95 % confidence (Student's t of the mean). {window}"
    )
    shapes = (charts.band(spots, x, y), charts.line(spots, x, y))
    table = Table("pace", "Decisions an hour of work", head, rows)
    return Chart("Decisions per hour of work", x, y, shapes, _aloud(spots), f"{said} {DAYS}{note}", table, link)


def _shown(mean: Mean) -> float | None:
    """As far as the picture reaches: an interval of few cases may reach anywhere."""
    return None if mean.value is None else min(mean.high or mean.value, 2 * mean.value)


def _paced(each: Hourly) -> str:
    pace = each.per_hour
    if pace.value is None:
        return ""
    range_ = between(pace.low, pace.high, [number(round(v)) for v in (pace.low or 0, pace.high or 0)])
    whole = formats.count(each.seconds.n, "timed decision")
    return f"{day(each.period)}: {number(round(pace.value))} an hour of {whole}{f', {range_}' if range_ else ''}"


def backlog(trend: Trend, found: Forecast, calendar: Calendar, link: str | None = None) -> Chart:
    """What was open at the end of each day, and how that goes on."""
    behind = [(each.period.last, float(each.open)) for each in trend.stretches]
    ahead = found.ahead if behind and trend.stretches[-1].period.last >= _eve(found) else ()
    step = trend.stretches[0].period.days if len(trend.stretches) < 2 else trend.stretches[-1].period.days
    first = behind[0][0].toordinal() if behind else 0
    last = ahead[-1].day.toordinal() if ahead else behind[-1][0].toordinal()
    x = _dates(first - step / 2, last + step / 2)
    y = charts.counts([*(n for _, n in behind), *(min(each.high, 3 * max(each.value, found.open)) for each in ahead)])
    past = [Spot(at.toordinal(), n, said=f"{_day(at)}: {number(n)} open") for at, n in behind]
    now = [Spot(behind[-1][0].toordinal(), found.open, found.open, found.open)] if ahead else []
    future = now + [Spot(a.day.toordinal(), a.value, a.low, a.high, _outlook(a.day, a.value, a.low, a.high)) for a in ahead]
    shapes = (charts.band(future, x, y, "con"), charts.line(past, x, y), charts.line(future, x, y, "con"))
    rows: list[tuple[Cell, ...]] = [("behind", at, round(n), None, None) for at, n in behind]
    rows += [("ahead", a.day, round(a.value, 1), round(a.low, 1), round(a.high, 1)) for a in ahead]
    head: Head = (
        ("", "text"),
        ("end of", "text"),
        ("open tasks", "number"),
        ("low", "number"),
        ("high", "number"),
    )
    table = Table("backlog", "Open tasks at the end of each day, and the forecast", head, tuple(rows))
    said = " ".join(hours(found, calendar))
    return Chart("Backlog, and how it goes on", x, y, shapes, _aloud([*past, *future]), said, table, link, (_method(),))


def hours(found: Forecast, calendar: Calendar) -> list[str]:
    """The backlog in reviewer-hours, and how it goes on, in sentences."""
    said = [f"{formats.count(found.open, 'task')} open now{_hours(found.hours)}."]
    if found.new is None or found.decided is None or not found.ahead:
        return [*said, f"A forecast takes {LEAST} whole days to look back on; there are {found.days}."]
    when = "day" if calendar.days == "mon-sun" and not calendar.holidays else "working day"
    said.append(
        f"Over {found.days} days, {number(round(found.new, 1))} came and {number(round(found.decided, 1))} were decided a "
        f"{when}; what comes within {AHEAD} days{_hours(found.coming, 'is')}."
    )
    return [*said, _empty(found)]


def _hours(held: Mean, verb: str = ":") -> str:
    if held.value is None:
        return ": how long a case takes is not known yet" if verb == ":" else " takes an unknown time"
    range_ = between(held.low, held.high, [number(round(v, 1)) for v in (held.low or 0, held.high or 0)])
    value = f"{number(round(held.value, 1))} reviewer-hours"
    return f"{':' if verb == ':' else f' {verb}'} {value}{f', {range_}' if range_ else ''}"


def _empty(found: Forecast) -> str:
    if found.open == 0:
        return "Nothing waits."
    if found.empty is None:
        return "It does not shrink: if it goes on so, it is not empty within a year."
    soonest = f"{_day(found.soonest)} at the soonest" if found.soonest else ""
    latest = f"{_day(found.latest)} at the latest" if found.latest else "not within a year at the latest"
    return f"If it goes on so, nothing is open by {_day(found.empty)}: {soonest}, {latest}."


def _outlook(at: date, value: float, low: float, high: float) -> str:
    return f"{_day(at)}: {number(round(value))} open, {between(low, high, [number(round(v)) for v in (low, high)])}"


def _method() -> str:
    return (
        f"Forecast: by drift. Working and free days of the project's calendar, of the latest {BEHIND} days, each go on as they "
        "did; hours are tasks times the mean time of a case. Shaded: 95 % of what is to be expected."
    )


def _eve(found: Forecast) -> date:
    """The day before the forecast begins."""
    return date.fromordinal(found.ahead[0].day.toordinal() - 1) if found.ahead else date.max


def _dates(low: float, high: float) -> Axis:
    every = max((high - low) / charts.NAMES, 1)
    names = [date.fromordinal(round(low + 0.5 + k * every)) for k in range(charts.NAMES) if low + 0.5 + k * every <= high]
    return Axis(low, high, tuple((float(each.toordinal()), _day(each)) for each in dict.fromkeys(names)))


def waits(held: Sequence[Waits], whole: Waits, alone: tuple[int, Quantile], window: str, link: str | None = None) -> Chart:
    """How long items waited for people's answer."""
    per, unit = _unit([each.median.value for each in held])
    x, y = charts.named([day(each.period) for each in held]), charts.counts([_most(each, per) for each in held])
    spots = [Spot(k, *_in(e.median, per), _waited(e.period, e.n, e.median, per, unit)) for k, e in enumerate(held)]
    most = [Spot(k, *_in(e.most, per), _waited(e.period, e.n, e.most, per, unit)) for k, e in enumerate(held)]
    head: Head = (
        *FROM_TO, ("items", "count"), ("median seconds", "number"), ("low", "number"), ("high", "number"),
        ("nine in ten within, seconds", "number"), ("low of that", "number"), ("high of that", "number"),
    )  # fmt: skip
    rows = tuple((*_ends(e.period), e.n, *_three(e.median), *_three(e.most)) for e in held)
    shapes = (charts.band(spots, x, y), charts.line(most, x, y, "faint"), charts.line(spots, x, y))
    table = Table("waits", "Time from arrival to people's answer", head, rows)
    said = " ".join(each for each in (_all(whole), _alone(*alone), f"{DAYS}{_order()} {window}") if each)
    return Chart(f"Time to outcome, {unit}", x, y, shapes, _aloud(spots), said, table, link)


def _all(whole: Waits) -> str:
    if whole.median.value is None or whole.most.value is None:
        return "People answered nothing in this period."
    range_ = between(whole.median.low, whole.median.high, [span(v) for v in (whole.median.low or 0, whole.median.high or 0)])
    said = f"Half of {formats.count(whole.n, 'item')} had people's answer within {span(whole.median.value)}"
    return f"{said}{f' ({range_})' if range_ else ''}, nine in ten within {span(whole.most.value)} (faint line)."


def _alone(n: int, median: Quantile) -> str:
    if median.value is None:
        return ""
    return f"What acted alone took {span(median.value)} (median of the latest {number(n)})."


def _order() -> str:
    return "Shaded: 95 % confidence (order statistics)."


def _most(each: Waits, per: float) -> float | None:
    return None if each.most.value is None else each.most.value / per


def _in(held: Quantile, per: float) -> tuple[float | None, float | None, float | None]:
    value, low, high = (None if v is None else v / per for v in _three(held))
    return value, low, high


def _three(held: Quantile) -> tuple[float | None, float | None, float | None]:
    return held.value, held.low, held.high


def _unit(values: Sequence[float | None]) -> tuple[float, str]:
    """The unit in which the middle one is said."""
    known = sorted(v for v in values if v is not None)
    middle = known[len(known) // 2] if known else 1.0
    return next((each for each in UNITS if middle >= 2 * each[0]), UNITS[-1])


def _waited(period: Period, n: int, held: Quantile, per: float, unit: str) -> str:
    return (
        "" if held.value is None else f"{day(period)}: {number(round(held.value / per, 1))} {unit} ({formats.count(n, 'item')})"
    )


def span(seconds: float) -> str:
    """`2.4 h`."""
    for size, unit in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * size:
            return f"{number(round(seconds / size, 1))} {unit}"
    return f"{number(round(seconds, 1))} s"


def day(period: Period) -> str:
    """`12 Nov`, `12 to 18 Nov`."""
    if period.days == 1:
        return _day(period.first)
    return f"{_day(period.first)} to {_day(period.last)}"


def _day(at: date) -> str:
    return f"{at.day} {at:%b}" if abs((at - date.today()).days) < 300 else f"{at.day} {at:%b %Y}"


def _ends(period: Period) -> tuple[date, date]:
    return period.first, period.last


def _by(held: Sequence[Stretch]) -> str:
    return "by the day" if not held or held[-1].period.days == 1 else f"by {held[-1].period.days} days"


def _aloud(spots: Sequence[Spot]) -> str:
    """At most a dozen of the spots in words."""
    said = [spot.said for spot in spots if spot.y is not None and spot.said]
    return "; ".join(said[:: max(1, len(said) // 12)]) or "nothing in this period"
