"""Webhooks on the page Data."""

from datetime import timedelta

from sqlalchemy import update

from app.workspace import Workspace
from db.tables import Person, Webhook
from review_queue import clock, events, webhooks
from tests.browser import filling
from tests.ui.conftest import Screen
from tests.ui.test_screens import html


def test_how_webhooks_fare(workspace: Workspace, screen: Screen) -> None:
    setting = filling.table(workspace, 1, False)
    assert "Webhooks" not in html(screen("data"))
    url, by = "https://example.com/in?a=1&b=<b>", workspace.local_actor("desk")
    workspace.database.write(webhooks.add, setting.id, url, keys=workspace.keys, by=by)
    workspace.database.write(events.announce, setting.id, "outcome", {}, item_id=None)
    workspace.database.write(events.sequence)
    shown = html(screen("data"))
    assert "https://example.com/in?a=1&amp;b=&lt;b&gt;" in shown
    assert "<td>works</td>" in shown
    assert "not posted" in shown
    since = {"failing_since": clock.now() - timedelta(days=2), "last_error": "500: no"}
    workspace.database.write(lambda s: s.execute(update(Webhook).values(since)) and None)
    shown = html(screen("data"))
    assert "has taken nothing for a day" in shown
    assert "500: no" in shown
    workspace.database.write(lambda s: s.execute(update(Person).values(role="lead")) and None)
    shown = html(screen("data"))
    assert "https://example.com/…" in shown
    assert "a=1" not in shown
