"""Webhooks over a real wire: what is sent, what counts as taken, and what a deliverer never does."""

import asyncio
import hashlib
import hmac
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.settings import Settings
from app.worker import delivering, loop, posting
from app.worker.delivering import Delivering
from app.worker.posting import Poster
from app.workspace import Workspace
from db.engine import Database
from db.tables import Delivery, ItemKey
from review_queue import addresses, clock, deliveries, events, webhooks
from review_queue.activity import Actor
from review_queue.events import Happened
from review_queue.projects import Setting
from review_queue.webhooks import Hook
from tests import factories
from tests.app.receiving import Receiver, Reply

Add = Callable[..., Hook]


@pytest.fixture
def workspace(database: Database, tmp_path: Path) -> Workspace:
    settings = Settings(dir=tmp_path, secret_key=factories.SECRET, webhooks_private=True)
    return Workspace(settings, database, factories.keys(database))


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database)


@pytest.fixture
def olga(database: Database) -> Actor:
    return factories.person(database, "olga", "owner")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def add(workspace: Workspace, held: Setting, olga: Actor) -> Add:
    def to(receiver: Receiver, **given: Any) -> Hook:
        return workspace.database.write(webhooks.add, held.id, receiver.url, keys=workspace.keys, by=olga, **given)

    return to


@pytest.fixture
def move(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    def by(span: timedelta) -> None:
        present = clock.now
        monkeypatch.setattr(clock, "now", lambda: present() + span)

    return by


def deliver(workspace: Workspace) -> int:
    return Delivering(workspace, threading.Event()).turn()


def items(workspace: Workspace, held: Setting, count: int) -> list[int]:
    factories.submit(workspace.database, held, [factories.raw(str(n)) for n in range(count)])
    return workspace.database.read(lambda s: list(s.scalars(select(ItemKey.item_id).order_by(ItemKey.item_id))))


def happen(workspace: Workspace, held: Setting, *item_ids: int | None) -> None:
    def all_of(session: Any) -> None:
        for item_id in item_ids:
            events.announce(session, held.id, "outcome", {"external_id": str(item_id), "label": "zahl€n"}, item_id=item_id)

    workspace.database.write(all_of)
    while workspace.database.write(events.sequence):
        pass


def kept(workspace: Workspace) -> list[tuple[int, str, str | None]]:
    query = select(Delivery.seq, Delivery.state, Delivery.last_error).order_by(Delivery.seq)
    return workspace.database.read(lambda s: list(s.execute(query).tuples()))


def documented() -> Callable[[str, Any, bytes], dict[str, Any]]:
    """`receive` as docs/http-api.md shows it."""
    page = (Path(__file__).parents[2] / "docs/http-api.md").read_text(encoding="utf-8")
    code = next(block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "def receive(" in block)
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    names: dict[str, Any] = {}
    exec(compile(code, "http-api.md", "exec"), names)
    found: Callable[[str, Any, bytes], dict[str, Any]] = names["receive"]
    return found


def test_what_arrives_is_the_event_signed(workspace: Workspace, held: Setting, add: Add, receiver: Receiver) -> None:
    hook = add(receiver)
    secret = workspace.keys.webhook_secret(hook.id, hook.key_id)
    happen(workspace, held, *items(workspace, held, 1))
    assert deliver(workspace) == 1
    (got,) = receiver.got
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert abs(int(got.headers["Signoff-Timestamp"]) - time.time()) < 60
    signed = f"{got.headers['Signoff-Id']}.{got.headers['Signoff-Timestamp']}.".encode() + got.body
    assert got.headers["Signoff-Signature"] == "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    (happened,) = workspace.database.read(events.after, held.id, 0)
    assert got.event == {
        "seq": "1",
        "kind": "outcome",
        "body": happened.body,
        "made_at": happened.made_at.isoformat().replace("+00:00", "Z"),
    }
    receive = documented()
    assert receive(secret, got.headers, got.body) == got.event
    said = got.headers
    for told in (
        ("whsec_other", said, got.body),
        (secret, said, got.body + b" "),
        (secret, {**said, "Signoff-Id": "2"}, got.body),
        (secret, {**said, "Signoff-Timestamp": "1"}, got.body),
    ):
        with pytest.raises(ValueError, match="signature"):
            receive(*told)


def test_order_holds_per_item_while_items_go_side_by_side(
    workspace: Workspace, held: Setting, add: Add, receiver: Receiver
) -> None:
    add(receiver)
    receiver.answer = lambda event, before: Reply(after=0.02)
    ids = items(workspace, held, 8)
    happen(workspace, held, *[item for _ in range(5) for item in ids])
    begun = time.monotonic()
    assert deliver(workspace) == 40
    assert time.monotonic() - begun < 40 * 0.02 + 3
    assert sorted(receiver.seqs) == list(range(1, 41))
    for item in ids:
        own = [each.seq for each in receiver.got if each.event["body"]["external_id"] == str(item)]
        assert own == sorted(own)


def test_what_fails_comes_again_and_holds_its_item_alone(
    workspace: Workspace, held: Setting, add: Add, receiver: Receiver, move: Callable[[timedelta], None]
) -> None:
    add(receiver)
    a, b = items(workspace, held, 2)
    receiver.answer = lambda event, before: Reply(500 if event["seq"] == "1" and before < 2 else 204, body=b"")
    happen(workspace, held, a, a, b)
    deliver(workspace)
    assert sorted(receiver.seqs) == [1, 3]
    assert kept(workspace) == [(1, "waiting", "500"), (2, "blocked", None)]
    for _ in range(3):
        move(timedelta(seconds=30))
        deliver(workspace)
    assert [seq for seq in receiver.seqs if seq != 3] == [1, 1, 1, 2]
    assert kept(workspace) == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(workspace: Workspace, held: Setting, add: Add, receiver: Receiver, status: int) -> None:
    other = Receiver()
    add(receiver)
    receiver.answer = lambda event, before: Reply(status, {"Location": other.url})
    happen(workspace, held, None)
    assert deliver(workspace) == 0
    assert other.got == []
    ((_, state, error),) = kept(workspace)
    assert (state, error) == ("waiting", f"{status}: redirects are not followed; add the webhook with its last address")
    other.close()


def test_a_slow_receiver_is_hung_up_on_and_holds_no_other_up(
    workspace: Workspace, held: Setting, add: Add, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "TIMEOUT_SECONDS", 0.5)
    quick = Receiver()
    add(receiver)
    add(quick)
    receiver.answer = lambda event, before: Reply(after=1.5)
    happen(workspace, held, None)
    over = threading.Event()
    thread = Delivering(workspace, over)
    begun = time.monotonic()
    thread.start()
    while len(quick.got) < 1 and time.monotonic() - begun < 10:
        time.sleep(0.02)
    while not kept(workspace) and time.monotonic() - begun < 10:
        time.sleep(0.05)
    over.set()
    thread.join(10)
    assert quick.seqs == [1]
    assert kept(workspace) == [(1, "waiting", "no answer within 0 seconds")]
    quick.close()


def test_a_receiver_that_drips_is_hung_up_on_too(
    workspace: Workspace, held: Setting, olga: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "TIMEOUT_SECONDS", 0.6)
    server = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = server.accept()
        with connection:
            for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 100:
                try:
                    connection.sendall(bytes([letter]))
                except OSError:
                    return
                time.sleep(0.1)

    threading.Thread(target=drip, daemon=True).start()
    url = f"http://127.0.0.1:{server.getsockname()[1]}/"
    workspace.database.write(webhooks.add, held.id, url, keys=workspace.keys, by=olga)
    happen(workspace, held, None)
    begun = time.monotonic()
    assert deliver(workspace) == 0
    assert time.monotonic() - begun < 5
    assert "no answer" in str(kept(workspace)[0][2])
    server.close()


def test_of_an_answer_little_is_read_and_less_is_kept(workspace: Workspace, held: Setting, add: Add, receiver: Receiver) -> None:
    add(receiver)
    receiver.answer = lambda event, before: Reply(400, body=b"bad \x00\n thing " * 1_000_000)
    happen(workspace, held, None)
    deliver(workspace)
    ((_, _, error),) = kept(workspace)
    assert str(error).startswith("400: bad    thing bad")
    assert len(str(error)) < 220


@pytest.mark.parametrize("dated", [False, True])
def test_retry_after_is_obeyed_within_bounds(
    workspace: Workspace, held: Setting, add: Add, receiver: Receiver, move: Callable[[timedelta], None], dated: bool
) -> None:
    add(receiver)
    says = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True) if dated else "600"
    receiver.answer = lambda event, before: Reply(503 if before == 0 else 200, {"Retry-After": says})
    happen(workspace, held, None)
    deliver(workspace)
    move(timedelta(seconds=580))
    assert deliver(workspace) == 0
    move(timedelta(seconds=30))
    assert deliver(workspace) == 1
    assert posting._seconds("999999999") == posting.LONGEST_WAIT
    assert posting._seconds("Wed, 21 Oct 2099 07:28:00 GMT") == posting.LONGEST_WAIT
    assert posting._seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert posting._seconds("soon") is posting._seconds("-5") is posting._seconds("") is None


def test_gone_ends_the_webhook(workspace: Workspace, held: Setting, add: Add, receiver: Receiver) -> None:
    hook = add(receiver)
    receiver.answer = lambda event, before: Reply(410)
    happen(workspace, held, None, None)
    deliver(workspace)
    assert workspace.database.read(webhooks.get, held.id, hook.id).ended_at is not None
    assert workspace.database.read(deliveries.due) == []


def test_nobody_listens(workspace: Workspace, held: Setting, add: Add, receiver: Receiver) -> None:
    add(receiver)
    receiver.close()
    happen(workspace, held, None)
    assert deliver(workspace) == 0
    assert kept(workspace)[0][1] == "waiting"


def test_a_receiver_that_is_down_is_given_up_on_for_the_turn(
    workspace: Workspace, held: Setting, add: Add, receiver: Receiver
) -> None:
    add(receiver)
    receiver.answer = lambda event, before: Reply(500)
    happen(workspace, held, *[None] * 200)
    deliver(workspace)
    assert delivering.GIVE_UP <= len(receiver.got) < delivering.GIVE_UP + delivering.AT_ONCE
    assert workspace.database.read(events.head) == 200


def test_two_deliverers_send_each_event_once(workspace: Workspace, held: Setting, add: Add, receiver: Receiver) -> None:
    add(receiver)
    ids = items(workspace, held, 20)
    over = threading.Event()
    threads = [Delivering(workspace, over) for _ in range(3)]
    [thread.start() for thread in threads]
    for _ in range(10):
        happen(workspace, held, *ids)
    until = time.monotonic() + 30
    while len(receiver.got) < 200 and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    over.set()
    [thread.join(20) for thread in threads]
    assert sorted(receiver.seqs) == list(range(1, 201))


def test_killed_between_sending_and_writing_it_down_sends_again(
    workspace: Workspace, held: Setting, add: Add, receiver: Receiver, move: Callable[[timedelta], None], tmp_path: Path
) -> None:
    add(receiver)
    happen(workspace, held, *items(workspace, held, 3))
    script = f"""
import os, signal, threading
from app.settings import Settings
from app.workspace import open_workspace
from app.worker import delivering
from pathlib import Path
url, secret = {workspace.database.url!r}, {factories.SECRET!r}
settings = Settings(dir=Path({str(tmp_path)!r}), database_url=url, secret_key=secret, webhooks_private=True)
workspace = open_workspace(settings)
def dies(*_):
    os.kill(os.getpid(), signal.SIGKILL)
delivering.deliveries.settle = dies
delivering.Delivering(workspace, threading.Event()).turn()
"""
    died = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, env={**os.environ}, check=False
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert sorted(receiver.seqs) == [1, 2, 3]
    assert deliver(workspace) == 0  # the lease of the dead one
    move(deliveries.LEASE)
    assert deliver(workspace) == 3
    assert sorted(receiver.seqs) == [1, 1, 2, 2, 3, 3]
    assert kept(workspace) == []


def test_a_worker_delivers_beside_its_work_and_at_the_end_of_a_drain(
    workspace: Workspace, held: Setting, add: Add, receiver: Receiver
) -> None:
    add(receiver)
    workspace.database.write(events.announce, held.id, "outcome", {}, item_id=None)
    loop.run(workspace, drain=True, device="cpu")
    assert receiver.seqs == [1]
    stop = threading.Event()
    thread = threading.Thread(target=loop.run, args=(workspace,), kwargs={"device": "cpu", "stop": stop})
    thread.start()
    workspace.database.write(events.announce, held.id, "outcome", {}, item_id=None)
    until = time.monotonic() + 20
    while len(receiver.got) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    stop.set()
    thread.join(30)
    assert receiver.seqs == [1, 2]


def test_a_look_that_fails_does_not_end_it(
    workspace: Workspace, held: Setting, add: Add, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(receiver)
    looks, due = [0], deliveries.due

    def fails_twice(session: Session) -> Sequence[int]:
        looks[0] += 1
        if looks[0] < 3:
            raise ValueError("strange")
        return due(session)

    monkeypatch.setattr(deliveries, "due", fails_twice)
    monkeypatch.setattr(delivering, "PATIENCE_SECONDS", 0.01)
    workspace.database.write(events.announce, held.id, "outcome", {}, item_id=None)
    workspace.database.write(events.sequence)
    stop = threading.Event()
    thread = Delivering(workspace, stop)
    thread.start()
    until = time.monotonic() + 20
    while not receiver.got and time.monotonic() < until:
        time.sleep(0.02)
    stop.set()
    thread.join(30)
    assert receiver.seqs == [1]


def test_an_address_inside_is_refused_when_the_connection_is_made(
    workspace: Workspace, held: Setting, add: Add, receiver: Receiver
) -> None:
    add(receiver)  # while that was allowed
    happen(workspace, held, None)
    closed = Workspace(workspace.settings.model_copy(update={"webhooks_private": False}), workspace.database, workspace.keys)
    assert deliver(closed) == 0
    assert receiver.got == []
    assert "https alone" in str(kept(workspace)[0][2])


EVENT = Happened(7, "outcome", {"external_id": "a"}, datetime(2026, 1, 1, tzinfo=UTC))


async def post(url: str, *, private: bool, tls: ssl.SSLContext | None = None) -> deliveries.Answer:
    async with Poster(private=private, tls=tls) as poster:
        return await poster.post(url, "whsec_x", EVENT)


def run(url: str, **given: Any) -> deliveries.Answer:
    return asyncio.run(post(url, **given))


def test_a_name_that_turns_inside_after_it_was_checked_is_not_followed(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the name is looked up once, and what was found is what is connected to."""
    asked: list[str] = []

    def answers(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "192.0.2.7" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", answers)
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "192.0.2.7")
    monkeypatch.setattr(posting, "TIMEOUT_SECONDS", 0.7)
    assert run(f"https://rebinding.example:{receiver.port}/", private=False).error is not None
    assert asked == ["rebinding.example"]
    assert run(f"https://rebinding.example:{receiver.port}/", private=False).error == (
        "rebinding.example is 127.0.0.1, which is not a public address; SIGNOFF_WEBHOOKS_PRIVATE=1 allows such"
    )
    assert receiver.got == []


def test_a_name_server_that_hangs_is_not_waited_for(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *_, **__: time.sleep(2))
    monkeypatch.setattr(posting, "TIMEOUT_SECONDS", 0.3)
    begun = time.monotonic()
    assert "no answer" in str(run("https://hangs.example/", private=True).error)
    assert time.monotonic() - begun < 1.5


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context for this name, and that of a client which trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    signed = made.sign(key, hashes.SHA256())
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem, secret)
    client = ssl.create_default_context(cafile=str(pem))
    return server, client


def test_the_certificate_is_asked_for_and_held_against_the_name_and_not_the_address(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server, client = certificate(tmp_path, "hooks.example")
    receiver.speak_tls(server)
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", receiver.port))]
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *_, **__: found)
    assert run(f"https://hooks.example:{receiver.port}/in", private=True, tls=client) == deliveries.Answer()
    assert receiver.names == ["hooks.example"]
    assert receiver.got[0].headers["Host"] == f"hooks.example:{receiver.port}"
    assert "certificate" in str(run(f"https://other.example:{receiver.port}/in", private=True, tls=client).error).lower()
    assert "certificate" in str(run(f"https://hooks.example:{receiver.port}/in", private=True).error).lower()
    assert len(receiver.got) == 1


def test_a_secret_that_was_rotated_away_is_told_and_nothing_is_sent_unsigned(
    workspace: Workspace, held: Setting, add: Add, receiver: Receiver
) -> None:
    add(receiver)
    happen(workspace, held, None)
    keys = type(workspace.keys)(workspace.keys.draw, workspace.keys.draw_key_id, b"", {}, workspace.keys.webhook_key_id)
    assert deliver(Workspace(workspace.settings, workspace.database, keys)) == 0
    assert receiver.got == []
    assert "rotated away" in str(kept(workspace)[0][2])
