"""kill -9 at random moments: every item once, no second outcome, no acknowledged decision missing."""

import random
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select, text

from contract.records import Prediction
from db.engine import Database
from db.tables import Claim, Decision, Draw, Item, Outcome, Routing, Task, Work
from review_queue import clock, events, people
from tests import factories, real_models
from tests.end_to_end import processes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
KILLS = 20


def test_a_worker_killed_mid_batch_loses_and_doubles_nothing(database: Database, database_url: str, tmp_path: Path) -> None:
    rng = random.Random(20261124)
    held = real_models.setting(database)
    env = processes.environment(tmp_path, database_url, SIGNOFF_BATCH_SIZE="4")
    died_over_work = 0
    for round_ in range(KILLS):
        given = [{"external_id": f"{round_}-{i}", "input": row} for i, row, _ in real_models.items()[100:160]]
        factories.submit(database, held, given)
        with processes.running(["worker", "run"], env) as worker:
            wait_for_progress(database, rng.randint(1, 50))
            time.sleep(rng.random() * 0.05)
            processes.kill(worker)
        died_over_work += count(database, Work, Work.kind == "score", Work.worker.is_not(None)) > 0
        release_leases(database)
    assert died_over_work >= KILLS // 4, "the kills must hit batches in hand"
    with processes.running(["worker", "run"], env) as worker:
        wait_until_scored(database)
        worker.terminate()
        assert worker.wait(timeout=60) == 0
    check_whole(database, KILLS * 60)


def test_a_web_process_killed_mid_decision_keeps_what_it_acknowledged(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    rng = random.Random(20261125)
    held = factories.setting(database, wished=factories.policy(audit={"rate": 0.3}))
    for batch in range(6):
        answers: dict[str, Prediction] = {f"{batch}-{n}": factories.says("pay", rng.uniform(0.5, 0.99)) for n in range(100)}
        factories.routed(database, held, answers)
    database.write(people.add_person, "ann", role="reviewer")
    key = database.write(people.add_key, "ann", scopes=["review"])
    env, port = processes.environment(tmp_path, database_url), processes.free_port()
    client = Reviewer(port, key)
    for _ in range(KILLS):
        with processes.running(["api", "run", "--port", str(port)], env) as server:
            processes.wait_until_up(port)
            client.decide_until(time.monotonic() + rng.uniform(0.05, 0.6), lambda server=server: processes.kill(server))
    with processes.running(["api", "run", "--port", str(port)], env):
        processes.wait_until_up(port)
        client.retry()
    rows = database.read(lambda s: list(s.scalars(select(Decision))))
    stored = {row.key: row for row in rows}
    assert len(stored) == len(rows)
    assert client.acknowledged, "something must have been decided"
    for sent, answer in client.acknowledged.items():
        assert stored[sent].verdict == answer
    check_whole(database, 600)


class Reviewer:
    """A client that decides as fast as it can, and repeats under the same key what was not acknowledged."""

    def __init__(self, port: int, key: str) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._pending: tuple[str, dict[str, object]] | None = None
        self.acknowledged: dict[str, str] = {}
        self._n = 0

    def decide_until(self, moment: float, then: object) -> None:
        """Decide; at the moment, while a request is under way, call `then` from another thread."""
        import threading

        timer = threading.Timer(max(moment - time.monotonic(), 0), then)  # type: ignore[arg-type]
        timer.start()
        try:
            self.retry()
            while self._step():
                pass
        except httpx.TransportError:
            pass
        timer.join()

    def retry(self) -> None:
        if self._pending is not None:
            self._send(*self._pending)

    def _step(self) -> bool:
        with httpx.Client(base_url=self._base, headers=self._headers, timeout=10) as client:
            got = client.post("/api/v1/projects/claims/claims", json={"count": 1, "session": "s"})
            if got.status_code == 204:
                return False
            case = got.json()["claims"][0]
            self._n += 1
            body: dict[str, object] = {"token": case["token"], "key": f"k{self._n}"}
            if case["blind"] and not case["first_given"]:
                self._send(f"/api/v1/tasks/{case['task_id']}/answer", {**body, "key": f"f{self._n}", "label": "pay"})
            self._send(f"/api/v1/tasks/{case['task_id']}/decisions", {**body, "verdict": "accept"})
        return True

    def _send(self, path: str, body: dict[str, object]) -> None:
        self._pending = (path, body)
        with httpx.Client(base_url=self._base, headers=self._headers, timeout=10) as client:
            answer = client.post(path, json=body)
        assert answer.status_code in (200, 201, 409), answer.text
        if answer.status_code != 409:
            self.acknowledged[str(body["key"])] = "accept"
        self._pending = None


def check_whole(database: Database, items: int) -> None:
    """What must hold after any crash."""
    assert count(database, Item) == items
    assert count(database, Work, Work.kind == "score") == 0
    routed = database.read(lambda s: list(s.scalars(select(Routing))))
    assert len(routed) == items
    assert max(Counter(row.item_id for row in routed).values()) == 1
    alone = {row.item_id for row in routed if row.route == "auto"}
    outcomes = database.read(lambda s: list(s.scalars(select(Outcome))))
    assert {row.item_id for row in outcomes if row.source == "auto"} == alone
    assert len({(row.item_id, row.revision) for row in outcomes}) == len(outcomes)
    tasks = database.read(lambda s: list(s.scalars(select(Task))))
    assert Counter(t.item_id for t in tasks if t.kind == "review") == Counter(
        row.item_id for row in routed if row.route == "review"
    )
    drawn = set(database.read(lambda s: list(s.scalars(select(Draw.item_id)))))
    assert {t.item_id for t in tasks if t.kind == "audit"} == drawn & alone
    finals = Counter(database.read(lambda s: list(s.scalars(select(Decision.task_id).where(Decision.stage == "final")))))
    assert all(n == 1 for n in finals.values())
    assert set(finals) == {t.id for t in tasks if t.state == "completed"}
    stuck = text("SELECT count(*) FROM task t WHERE state='in_progress' AND NOT EXISTS "
                 "(SELECT 1 FROM claim c WHERE c.task_id=t.id AND c.state='held')")  # fmt: skip
    assert database.read(lambda s: s.scalar(stuck)) == 0
    doubles = select(Claim.task_id).where(Claim.state == "held").group_by(Claim.task_id).having(func.count() > 1)
    assert database.read(lambda s: s.scalars(doubles).all()) == []
    check_events(database, outcomes)


def check_events(database: Database, outcomes: list[Outcome]) -> None:
    """The sequence has no gap and no repeat, and names each outcome once."""
    from db.tables import Event, Outbox

    while database.write(events.sequence):
        pass
    seqs = database.read(lambda s: list(s.scalars(select(Event.seq).order_by(Event.seq))))
    assert seqs == list(range(1, len(seqs) + 1))
    kinds = ("outcome", "revision")
    announced = [
        (row.item_id, row.body["revision"])
        for table in (Event, Outbox)
        for row in database.read(lambda s, table=table: list(s.scalars(select(table).where(table.kind.in_(kinds)))))
    ]
    assert sorted(announced) == sorted((row.item_id, row.revision) for row in outcomes)


def count(database: Database, table: object, *where: object) -> int:
    return database.read(lambda s: s.scalar(select(func.count()).select_from(table).where(*where))) or 0  # type: ignore[arg-type]


def wait_for_progress(database: Database, items: int) -> None:
    before, until = count(database, Routing), time.monotonic() + 60
    while count(database, Routing) < before + items and time.monotonic() < until:
        time.sleep(0.005)
        if count(database, Work, Work.kind == "score") == 0:
            return


def wait_until_scored(database: Database) -> None:
    until = time.monotonic() + 120
    while count(database, Work, Work.kind == "score") and time.monotonic() < until:
        time.sleep(0.1)


def release_leases(database: Database) -> None:
    """What time does: leases of dead workers run out. Deaths of this test are no fault of the items."""
    fresh = {"ready_at": clock.now(), "attempts": 0}
    database.write(lambda s: s.execute(Work.__table__.update().values(fresh)))  # type: ignore[attr-defined]
