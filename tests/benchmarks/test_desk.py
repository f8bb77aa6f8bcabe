"""From a key to the next case painted, in a real browser, beside the least that this browser and machine can do."""

import statistics
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.browser import filling
from tests.browser.conftest import chromium, desk, page  # noqa: F401
from tests.browser.test_review import TITLE, open_review, settled

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]
ROUNDS = 20
PAINTED = """(key) => new Promise(done => {
  const before = document.querySelector('.so-title bdi').textContent, began = performance.now();
  const look = new MutationObserver(() => {
    const now = document.querySelector('.so-title bdi');
    if (now && now.textContent !== before) { look.disconnect(); requestAnimationFrame(() => done(performance.now() - began)); }
  });
  look.observe(document.body, {subtree: true, childList: true, characterData: true});
  document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, code: 'Key' + key.toUpperCase(), bubbles: true}));
})"""
PLAIN = b"""<p id=n>0</p><script>window.next = async () => { const began = performance.now();
document.getElementById('n').innerHTML = await (await fetch('/next')).text();
await new Promise(requestAnimationFrame); return performance.now() - began; }</script>"""


class Plain(BaseHTTPRequestHandler):
    """A page that fetches its next case as one piece of HTML."""

    def do_GET(self) -> None:
        body = PLAIN if self.path == "/" else b"<b>case</b>" * 300
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def test_a_key_to_the_next_case(desk: Any, page: Any) -> None:  # noqa: F811
    held = desk(lambda workspace: filling.table(workspace, ROUNDS + 10, True, automate={"at_least": "off"}))
    open_review(page, held)
    times = []
    for _ in range(ROUNDS):
        times.append(page.evaluate(PAINTED, "a"))
        page.wait_for_selector(TITLE)
        settled(page)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Plain)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page.goto(f"http://127.0.0.1:{server.server_port}/")
    limit = [page.evaluate("window.next()") for _ in range(ROUNDS)]
    server.shutdown()
    ours, least = statistics.median(times[2:]), statistics.median(limit[2:])
    p95 = statistics.quantiles(times[2:], n=20)[-1]
    print(f"\nkey to next case: p50 {ours:.0f} ms, p95 {p95:.0f} ms; plain page {least:.0f} ms; {ours / least:.1f} times")
