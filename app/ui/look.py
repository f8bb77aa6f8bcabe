"""What Insights shows of a project in a period: every figure by its name, read no further than it has to be."""

from collections.abc import Callable
from datetime import date
from functools import cached_property
from urllib.parse import quote, urlencode

from sqlalchemy.orm import Session

from app.ui.draw import charts, over_time, rightness
from app.ui.draw.charts import Chart
from app.ui.draw.numbers import Table
from app.ui.formats import number
from review_queue import answers, clock, pace, periods, quality, tallies, trends
from review_queue.answers import Window
from review_queue.forecast import BEHIND, Forecast, forecast
from review_queue.pace import Waits
from review_queue.periods import Period
from review_queue.projects import Setting
from review_queue.quality import Judged
from review_queue.trends import Trend


class Look:
    """One look at a project on one view of the database. `asked`: the period as the address has it."""

    def __init__(self, session: Session, setting: Setting, period: Period, asked: dict[str, str]) -> None:
        self.session, self.setting, self.period, self._asked = session, setting, period, asked

    def link(self, name: str) -> str:
        """Where a figure is to be had as a file."""
        return f"/csv/{quote(self.setting.name, safe='')}/{name}?{urlencode(self._asked)}"

    @property
    def at_least(self) -> float | None:
        """The threshold in force, where one is and automation is not frozen."""
        wished = self.setting.policy.automate.at_least
        return None if self.setting.frozen_at is not None or wished == "off" else wished

    @cached_property
    def trend(self) -> Trend:
        return trends.of(self.session, self.setting.id, self.period)

    @cached_property
    def window(self) -> Window:
        return answers.latest(self.session, self.setting.id, since=self.period.since, before=self.period.before)

    @cached_property
    def judged(self) -> list[Judged]:
        return quality.judged(self.window)

    @cached_property
    def forecast(self) -> Forecast:
        today, first = clock.now().date(), tallies.first_day(self.session, self.setting.id)
        behind = periods.latest(BEHIND + 1)
        days = tallies.daily(self.session, self.setting.id, behind.first.isoformat(), today.isoformat())
        times = pace.seconds(answers.latest(self.session, self.setting.id, since=behind.since))
        per_case, now_open = pace.mean([took for _, took in times]), tallies.read(self.session, self.setting.id)["open"]
        began = date.fromisoformat(first) if first else None
        return forecast(days, max(now_open, 0), per_case, self.setting.policy.calendar, today, began)

    @property
    def said(self) -> str:
        """What figures of people's answers rest on, where that is not all of the period."""
        return "" if self.window.whole else f"Of the latest {number(self.window.decisions)} decisions of the period."


def _automation(look: Look) -> Chart:
    return over_time.automation(look.trend, look.setting.project.noun, look.link("automation"))


def _override(look: Look) -> Chart:
    return over_time.override(look.trend, look.link("override"))


def _decided(look: Look) -> Chart:
    return over_time.decided(look.trend, look.setting.project.noun, look.link("decided"))


def _pace(look: Look) -> Chart:
    times = pace.seconds(look.window)
    held = [pace.hourly(times, step) for step in look.period.steps()]
    return over_time.pace(held, pace.hourly(times, look.period), look.said, look.link("pace"))


def _backlog(look: Look) -> Chart:
    return over_time.backlog(look.trend, look.forecast, look.setting.policy.calendar, look.link("backlog"))


def _waits(look: Look) -> Chart:
    times, alone = pace.waited(look.session, look.window), pace.alone(look.session, look.setting.id, look.period)
    held: list[Waits] = [pace.waits(times, step) for step in look.period.steps()]
    return over_time.waits(held, pace.waits(times, look.period), alone, look.said, look.link("waits"))


def _reliability(look: Look) -> Chart:
    probability = look.setting.policy.score == "max_probability"
    found = quality.reliability(look.judged)
    return rightness.reliability(found, probability=probability, window=look.said, link=look.link("reliability"))


def _risk(look: Look) -> Chart:
    return rightness.risk(quality.risk(look.judged), len(look.judged), look.at_least, look.said, look.link("risk"))


CHARTS: dict[str, Callable[[Look], Chart]] = {
    "automation": _automation,
    "override": _override,
    "decided": _decided,
    "pace": _pace,
    "backlog": _backlog,
    "waits": _waits,
    "reliability": _reliability,
    "risk": _risk,
}
CONFUSION = "confusion"
NAMES = (*CHARTS, CONFUSION)


def shown(session: Session, setting: Setting, period: Period, asked: dict[str, str], names: tuple[str, ...]) -> list[str]:
    """Some figures as HTML, in their order."""
    look = Look(session, setting, period, asked)
    return [_confusion(look)[0] if name == CONFUSION else charts.draw(CHARTS[name](look)) for name in names]


def table(session: Session, setting: Setting, period: Period, name: str) -> Table:
    """The numbers of one figure. Raises KeyError for a name that is none."""
    look = Look(session, setting, period, {})
    return _confusion(look)[1] if name == CONFUSION else CHARTS[name](look).table


def _confusion(look: Look) -> tuple[str, Table]:
    found = quality.confusion(look.judged)
    return rightness.confusion(found, look.setting.project.title_of, look.said, look.link(CONFUSION))
