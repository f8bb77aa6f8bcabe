"""The backlog and the totals of every project, as Prometheus reads them."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session

from review_queue import clock, insights, projects, stuck
from review_queue.activity import Actor
from review_queue.insights import Backlog
from review_queue.projects import Setting

Figures = tuple[Setting, Backlog, dict[str, int]]

_BOUNDED = f"counted up to {insights.MOST}, one more is: more"
_BACKLOG = {
    "open": ("signoff_tasks_open", "Tasks that wait, are held, parked or stuck."),
    "waiting": ("signoff_tasks_waiting", "Tasks that wait for somebody who is there."),
    "waiting_for_leads": ("signoff_tasks_waiting_for_leads", f"Tasks that wait for a lead; {_BOUNDED}."),
    "held": ("signoff_tasks_held", f"Tasks that somebody holds; {_BOUNDED}."),
    "parked": ("signoff_tasks_parked", f"Tasks that are put aside; {_BOUNDED}."),
    "overdue": ("signoff_tasks_overdue", f"Open tasks past their due time; {_BOUNDED}."),
    "soon_due": ("signoff_tasks_soon_due", f"Open tasks that are due soon, as the policy says; {_BOUNDED}."),
    "decided": ("signoff_tasks_decided", "Tasks that are completed."),
    "unscored": ("signoff_items_unscored", "Items that wait to be scored."),
    "unexplained": ("signoff_items_unexplained", f"Explanations that are ordered and not yet made; {_BOUNDED}."),
}


def figures(session: Session, by: Actor) -> list[Figures]:
    """What the metrics say, of every project that is open to whoever asks."""
    every = projects.everything(session, by=by)
    return [(each, insights.backlog(session, each.id), insights.totals(session, each.id)) for each in every]


def text(found: Iterable[Figures]) -> bytes:
    """The exposition text, from a registry of its own."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Projects(list(found)))
    return generate_latest(registry)


class _Projects(Collector):
    def __init__(self, found: list[Figures]) -> None:
        self.found = found

    def collect(self) -> Iterator[Metric]:
        for field, (name, says) in _BACKLOG.items():
            yield self._gauge(name, says, {s.name: float(getattr(backlog, field)) for s, backlog, _ in self.found})
        oldest = {s.name: (clock.now() - b.oldest).total_seconds() if b.oldest else 0.0 for s, b, _ in self.found}
        yield self._gauge("signoff_oldest_task_seconds", "Age of the oldest open task.", oldest)
        yield self._gauge("signoff_items", "Items taken in.", {s.name: float(t["items"]) for s, _, t in self.found})
        frozen = {s.name: float(s.frozen_at is not None) for s, _, _ in self.found}
        yield self._gauge("signoff_frozen", "1 while everything goes to people.", frozen)
        yield self._stuck()
        yield self._outcomes()

    def _gauge(self, name: str, says: str, values: dict[str, float]) -> Metric:
        gauge = GaugeMetricFamily(name, says, labels=["project"])
        for project, value in values.items():
            gauge.add_metric([project], value)
        return gauge

    def _stuck(self) -> Metric:
        gauge = GaugeMetricFamily(
            "signoff_tasks_stuck", f"Tasks that nobody present may take; of the oldest {stuck.MOST}.", labels=["project", "why"]
        )
        for setting, backlog, _ in self.found:
            for why in stuck.SAYS:
                gauge.add_metric([setting.name, why], float(backlog.stuck_by.get(why, 0)))
        return gauge

    def _outcomes(self) -> Metric:
        gauge = GaugeMetricFamily("signoff_outcomes", "Outcomes that stand, by source.", labels=["project", "source"])
        for setting, _, totals in self.found:
            for name, value in totals.items():
                if name.startswith("outcomes_"):
                    gauge.add_metric([setting.name, name.removeprefix("outcomes_")], float(value))
        return gauge
