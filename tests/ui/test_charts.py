"""Pictures of numbers: round axes, gaps, what is said of them, and that nothing of the data is run as HTML."""

import re
from datetime import date, timedelta
from urllib.parse import unquote

import pytest

from app.ui.draw import charts, over_time, rightness
from app.ui.draw.charts import Axis, Chart, Spot
from app.ui.draw.numbers import Table
from contract.policy import Calendar
from review_queue import agreement, quality
from review_queue.forecast import Ahead, Forecast
from review_queue.pace import Mean, Quantile
from review_queue.periods import Period
from review_queue.quality import Judged
from review_queue.trends import Stretch, Trend
from tests.browser.filling import NASTY

ONE = Axis(0.0, 1.0)
NOTHING = Table("t", "A title", (), ())


def paths(html: str) -> list[str]:
    """The paths of the masks in a piece of HTML, in their order."""
    return [re.findall(r' d="([^"]*)"', unquote(each))[0] for each in re.findall(r"svg\+xml,([^']+)'", html)]


@pytest.mark.parametrize(
    ("top", "ticks"),
    [
        (1.0, [0, 0.25, 0.5, 0.75, 1.0]),
        (7.0, [0, 2, 4, 6, 8]),
        (10.0, [0, 2.5, 5, 7.5, 10]),
        (471.0, [0, 200, 400, 600]),
        (0.03, [0, 0.01, 0.02, 0.03]),
        (21.0, [0, 10, 20, 30]),
    ],
)
def test_axes_have_round_ends(top: float, ticks: list[float]) -> None:
    axis = charts.upto(top, str)
    assert [at for at, _ in axis.ticks] == pytest.approx(ticks)
    assert axis.high == pytest.approx(ticks[-1])


def test_shares_never_go_beyond_all() -> None:
    assert charts.shares([0.97, None]).high == 1.0
    assert charts.shares([]).high == pytest.approx(0.06)
    assert charts.shares([0.31]).ticks[-1][1] == "40 %"


def test_a_line_has_a_gap_where_nothing_is() -> None:
    spots = [Spot(0, 0.0), Spot(0.25, 1.0), Spot(0.5, None), Spot(0.75, 0.5), Spot(1, None)]
    drawn = charts.line(spots, ONE, ONE)
    assert paths(drawn) == ["M0.0 1000.0 L250.0 0.0"]
    assert re.findall(r"<b[^>]*left:([\d.]+)%;bottom:([\d.]+)%", drawn) == [
        ("0.00", "0.00"),
        ("25.00", "100.00"),
        ("75.00", "50.00"),
    ]


def test_many_spots_have_no_dots_but_those_that_stand_alone() -> None:
    spots = [Spot(n / 50, None if n == 48 else 0.5) for n in range(50)]
    assert charts.line(spots, ONE, ONE).count("<b") == 1


def test_an_interval_is_an_area_and_stays_inside() -> None:
    drawn = charts.band([Spot(0, 0.5, 0.25, 0.75), Spot(1, 0.5, 0.0, 9.0), Spot(1, None)], ONE, ONE)
    assert paths(drawn) == ["M0.0 250.0 L1000.0 0.0 L1000.0 1000.0 L0.0 750.0 Z"]
    assert paths(charts.band([Spot(0.5, 0.5, 0.25, 0.75)], ONE, ONE)) == ["M500.0 750.0 V250.0"]
    assert charts.band([Spot(0, 0.5)], ONE, ONE) == ""


def test_a_chart_says_in_words_and_numbers_what_it_shows() -> None:
    table = Table("t", NASTY, ((NASTY, "text"), ("n", "count"), ("share", "share")), ((NASTY, 1234, 0.251), (None, None, None)))
    chart = Chart(NASTY, charts.named([NASTY]), ONE, (), NASTY, NASTY, table, f"/csv/{NASTY}/t?period=1")
    drawn = charts.draw(chart)
    assert "<script" not in drawn
    assert "<img" not in drawn
    assert 'role="img" aria-label="&lt;script&gt;' in drawn
    assert '<td class="so-num">1\u202f234</td><td class="so-num">25.1 %</td>' in drawn
    assert drawn.count("<td>–</td>") == 1
    assert re.search(r'<a class="so-take" href="/csv/&lt;script', drawn)


def test_a_file_holds_plain_numbers_and_no_formula() -> None:
    table = Table(
        "t", "T", (("a", "text"), ("b", "share"), ("c", "count")), (("=1+1", 1 / 3, 5), ("+x", None, 0), ('a,"b"\n', 1.0, -1))
    )
    assert table.csv() == 'a,b,c\r\n\'=1+1,0.3333333333,5\r\n\'+x,,0\r\n"a,""b""\n",1,-1\r\n'


def test_names_below_are_few() -> None:
    assert [at for at, _ in charts.named([str(n) for n in range(30)]).ticks] == [0, 6, 12, 18, 24]
    assert charts.named([]).high == 0.5


def week() -> Period:
    return Period(date(2026, 3, 2), date(2026, 3, 8))


def stretches(open_tasks: int = 4) -> Trend:
    steps = list(week().steps())
    none, some = agreement.rate(0, 0), agreement.rate(12, 20)
    held = tuple(Stretch(step, 30, 10, open_tasks, some if n else none, agreement.rate(1, 8)) for n, step in enumerate(steps))
    return Trend(held, 210, 70, agreement.rate(72, 120), agreement.rate(7, 56))


def test_automation_and_override_name_what_they_are_a_share_of() -> None:
    alone = over_time.automation(stretches(), "claim", "/x")
    assert "60.0 % acted alone: 72 of 120 routed claims, between 51.1 % and 68.3 %." in alone.said
    assert alone.table.rows[0] == (date(2026, 3, 2), date(2026, 3, 2), 0, 0, None, None, None)
    assert "12.5 % were other than the prediction: 7 of 56 answers" in over_time.override(stretches()).said
    assert "No routed claims in this period." in over_time.automation(trend_of_nothing(), "claim").said


def trend_of_nothing() -> Trend:
    none = agreement.rate(0, 0)
    return Trend(tuple(Stretch(step, 0, 0, 0, none, none) for step in week().steps()), 0, 0, none, none)


def forecast(**changes: object) -> Forecast:
    first = week().last
    ahead = tuple(Ahead(first + timedelta(days=n), 90.0 - n, 80.0 - n, 100.0 - n) for n in range(1, 15))
    held = {
        "open": 90, "hours": Mean(40, 2.0, 1.5, 2.5), "coming": Mean(40, 1.0, 0.8, 1.2), "days": 28, "new": 5.0, "decided": 6.0,
        "ahead": ahead, "empty": date(2026, 6, 6), "soonest": date(2026, 5, 1), "latest": None,
    }  # fmt: skip
    return Forecast(**{**held, **changes})  # type: ignore[arg-type]


def test_the_backlog_is_said_in_hours_of_people() -> None:
    said = over_time.hours(forecast(), Calendar(days="mon-fri"))
    assert said[0] == "90 tasks open now: 2 reviewer-hours, between 1.5 and 2.5."
    assert said[1].startswith(
        "Over 28 days, 5 came and 6 were decided a working day; what comes within 14 days is 1 reviewer-hours"
    )
    assert said[2].startswith("If it goes on so, nothing is open by 6 Jun")
    assert said[2].endswith("not within a year at the latest.")
    assert "It does not shrink" in over_time.hours(forecast(empty=None), Calendar())[2]
    assert (
        over_time.hours(forecast(ahead=(), days=3), Calendar())[1]
        == "A forecast takes 7 whole days to look back on; there are 3."
    )
    unknown = forecast(hours=Mean(0, None, None, None), open=0)
    assert over_time.hours(unknown, Calendar())[0] == "0 tasks open now: how long a case takes is not known yet."


def test_a_forecast_is_drawn_where_the_period_goes_up_to_today() -> None:
    with_it = over_time.backlog(stretches(), forecast(), Calendar())
    assert [row[0] for row in with_it.table.rows].count("ahead") == 14
    earlier = over_time.backlog(
        stretches(), forecast(ahead=tuple(Ahead(date(2026, 4, n), 1, 0, 2) for n in range(1, 15))), Calendar()
    )
    assert [row[0] for row in earlier.table.rows] == ["behind"] * 7


def test_waiting_is_said_in_the_unit_that_fits() -> None:
    from review_queue.pace import Waits

    held = [Waits(step, 3, Quantile(9000.0, None, None), Quantile(20_000.0, None, None)) for step in week().steps()]
    chart = over_time.waits(
        held, Waits(week(), 21, Quantile(9000.0, 7200.0, 10_800.0), held[0].most), (5, Quantile(2.0, 1.0, 3.0)), ""
    )
    assert chart.title == "Time to outcome, hours"
    assert "Half of 21 items had people's answer within 2.5 h (between 2 h and 3 h), nine in ten within 5.6 h" in chart.said
    assert "What acted alone took 2 s (median of the latest 5)." in chart.said


@pytest.mark.parametrize(("probability", "said"), [(True, "On the dashed line"), (False, "is no probability")])
def test_reliability_says_what_its_line_means(probability: bool, said: str) -> None:
    found = quality.reliability([Judged("pay", 0.5 + n / 100, 1.0, "pay") for n in range(40)])
    chart = rightness.reliability(found, probability=probability, window="")
    assert said in chart.said
    assert ("stroke-dasharray" in unquote("".join(chart.shapes))) == probability
    assert chart.y.ticks[0] == (1.0, "100 %")


def test_risk_marks_what_is_in_force() -> None:
    found = quality.risk([Judged("pay", 0.5 + n / 100, 1.0, "pay" if n % 4 else "deny") for n in range(40)])
    assert "In force (orange): 48 % alone" in rightness.risk(found, 40, 0.705, "").said
    assert "None of these cases reaches the threshold in force, 0.95." in rightness.risk(found, 40, 0.95, "").said
    assert "Nothing acts alone now." in rightness.risk([], 0, None, "").said


def many(labels: int) -> list[Judged]:
    return [Judged(f"l{n}", 0.9, 1.0, f"l{n}" if k else f"l{(n + 1) % labels}") for n in range(labels) for k in range(3)]


def test_few_labels_have_a_square_and_many_the_worst_pairs() -> None:
    few, _ = rightness.confusion(quality.confusion(many(3)), str.upper, "")
    assert few.count('<td class="so-num so-right"') == 3
    assert few.count('<td class="so-num so-wrong"') == 3
    assert "1 of 3 with this prediction, between" in few
    lots, table = rightness.confusion(quality.confusion(many(77)), str.upper, "")
    assert "so-square" not in lots
    assert lots.count('class="so-pair"') == rightness.PAIRS
    assert f"{77 - rightness.PAIRS} more pairs are in the numbers." in lots
    assert len(table.rows) == 154
    assert "No answers in this period." in rightness.confusion([], str, "")[0]


def test_labels_are_shown_as_they_are() -> None:
    found = quality.confusion([Judged(NASTY, 0.9, 1.0, None)])
    drawn, _ = rightness.confusion(found, str, "")
    assert "<script" not in drawn
    assert "no label fits" in drawn
