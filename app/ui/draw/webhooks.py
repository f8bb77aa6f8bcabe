"""Where events are posted to, as rows of a table."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from app.ui.formats import moment, number, span, text
from review_queue.webhooks import COUNTED, Hook

HEAD = ("Webhook", "Address", "State", "Behind", "Waiting", "Dead", "Last error")


def row(hook: Hook, zone: ZoneInfo) -> tuple[str, ...]:
    """The cells of one webhook, under HEAD."""
    behind = "–"
    if hook.lag_seconds > 0:
        events = f"{number(COUNTED)}+" if hook.lag_events >= COUNTED else number(hook.lag_events)
        behind = f"{span(timedelta(seconds=hook.lag_seconds))}, {events} not posted"
    shown = (str(hook.id), hook.url, _state(hook, zone), behind, number(hook.waiting), number(hook.dead), hook.last_error or "–")
    return tuple(text(each) for each in shown)


def _state(hook: Hook, zone: ZoneInfo) -> str:
    if hook.ended_at is not None:
        return f"ended by its receiver {moment(hook.ended_at, zone)}"
    return "works" if hook.failing_since is None else f"fails since {moment(hook.failing_since, zone)}"
