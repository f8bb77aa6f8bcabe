"""How webhooks fare, as Prometheus reads it."""

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session

from review_queue import clock, projects, webhooks
from review_queue.activity import Actor
from review_queue.projects import Setting
from review_queue.webhooks import Hook

_SAYS = {
    "signoff_webhook_waiting": "Events that a webhook did not take so far and that will be tried again.",
    "signoff_webhook_dead": "Dead letters: events that are not tried again by themselves.",
    "signoff_webhook_lag_events": f"Events of the sequence that were not posted yet, counted up to {webhooks.COUNTED}.",
    "signoff_webhook_lag_seconds": "Age of the oldest event that a webhook has not got, dead letters apart.",
    "signoff_webhook_failing_seconds": "For how long a webhook has taken nothing; 0 while it works.",
}


def figures(session: Session, by: Actor) -> list[tuple[Setting, Hook]]:
    """Every webhook that posts, with its project, of those that are open to whoever asks."""
    every = [(each, hook) for each in projects.everything(session, by=by) for hook in webhooks.every(session, each.id)]
    return [(each, hook) for each, hook in every if hook.ended_at is None]


def text(found: Sequence[tuple[Setting, Hook]]) -> bytes:
    """The exposition text, from a registry of its own."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Webhooks(found))
    return generate_latest(registry)


class _Webhooks(Collector):
    def __init__(self, found: Sequence[tuple[Setting, Hook]]) -> None:
        self.found = [(setting.name, str(hook.id), _values(hook)) for setting, hook in found]

    def collect(self) -> Iterator[Metric]:
        for n, (name, says) in enumerate(_SAYS.items()):
            gauge = GaugeMetricFamily(name, says, labels=["project", "webhook"])
            for project, number, values in self.found:
                gauge.add_metric([project, number], values[n])
            yield gauge


def _values(hook: Hook) -> tuple[float, ...]:
    failing = (clock.now() - hook.failing_since).total_seconds() if hook.failing_since else 0.0
    return float(hook.waiting), float(hook.dead), float(hook.lag_events), hook.lag_seconds, failing
