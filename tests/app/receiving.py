"""A receiver of webhooks for tests: a real HTTP server that keeps what came and answers as it is told."""

import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    after: float = 0.0


@dataclass(frozen=True)
class Got:
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    @property
    def seq(self) -> int:
        return int(self.headers["Signoff-Id"])


class Receiver:
    """`answer` gets the event and how often it came before."""

    def __init__(self, answer: Callable[[dict[str, Any], int], Reply] = lambda event, before: Reply()) -> None:
        self.answer, self.got, self._lock = answer, list[Got](), threading.Lock()
        self.names: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version, wbufsize = "HTTP/1.1", 2**16  # head and body in one packet

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got = Got(dict(self.headers), body)
                with outer._lock:
                    before = sum(each.seq == got.seq for each in outer.got)
                    outer.got.append(got)
                reply = outer.answer(got.event, before)
                time.sleep(reply.after)
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that hangs up in the middle is meant

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/in?from=signoff"

    @property
    def seqs(self) -> list[int]:
        return [each.seq for each in self.got]

    def speak_tls(self, context: ssl.SSLContext) -> None:
        """Answer over TLS, and keep the names that clients ask for."""
        context.sni_callback = lambda _, name, __: self.names.append(name)  # type: ignore[assignment]
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
