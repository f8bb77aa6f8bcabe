"""Who uses the queue in a soak: producers, people, and a reader of events. What gets no answer is sent again."""

from collections.abc import Mapping, Sequence
from random import Random
from threading import Event, Thread
from typing import Any

from app.soak.ledger import Ledger
from app.soak.scratch import LEASE_SECONDS
from app.soak.wire import BROKEN, Dropped, Reply, Wire

PAUSE_SECONDS = 0.2
"""Before a call that got no answer is made again."""
BUSY = (429, 503)
DROPS = 0.03
"""The share of calls whose reply is not waited for."""
LATE = 0.02
"""The share of cases that are left lying until their lease is over."""
VERDICTS = ("accept",) * 6 + ("correct", "correct", "skip", "escalate")


class Client(Thread):
    """Acts until told to stop. `path`: the address of the project."""

    def __init__(self, wire: Wire, project: str, ledger: Ledger, chance: Random, stop: Event) -> None:
        super().__init__(daemon=True)
        self._wire, self.path, self.ledger, self.chance, self._stop_event = wire, f"/projects/{project}", ledger, chance, stop

    def run(self) -> None:
        while not self._stop_event.is_set():
            self.act()
        self._wire.close()

    def act(self) -> None:
        raise NotImplementedError

    def surely(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, fine: Sequence[int] = ()) -> Reply | None:
        """The reply, however often it takes; now and then the first one is thrown away. None where told to stop meanwhile."""
        drop = self.chance.random() < DROPS
        while True:
            reply = self._once(method, path, body, drop)
            drop = False
            if reply is not None and reply.status not in BUSY:
                break
            if self._stop_event.wait(PAUSE_SECONDS):
                return None
        if reply.status >= 400 and reply.status not in fine:
            self.ledger.unexpected(f"{method} {path}", reply.status, reply.body)
        return reply

    def _once(self, method: str, path: str, body: Mapping[str, Any] | None, drop: bool) -> Reply | None:
        try:
            return self._wire.call(method, path, body, drop=drop)
        except Dropped:
            self.ledger.count(dropped=1)
        except BROKEN:
            self.ledger.count(cut=1)
        return None


def content(inputs: Sequence[dict[str, Any]], name: str, changes: int) -> dict[str, Any]:
    """A real row, always the same for the same name and number of changes."""
    return inputs[Random(f"{name}/{changes}").randrange(len(inputs))]


class Producer(Client):
    """Sends batches, some of them twice; changes, cancels and asks about what it sent before."""

    def __init__(self, *args: Any, name: str, inputs: Sequence[dict[str, Any]]) -> None:
        super().__init__(*args)
        self._name, self._inputs, self._names = name, inputs, list[str]()

    def act(self) -> None:
        name, what = self._known(), self.chance.random()
        if name is None or what < 0.5:
            self._send()
        elif what < 0.6:
            self._again(name)
        elif what < 0.75:
            self._replace(name)
        elif what < 0.85:
            self._cancel(name)
        else:
            self._ask(name)
        self._stop_event.wait(self.chance.uniform(0, 0.2))

    def _send(self) -> None:
        names = [f"{self._name}-{len(self._names) + n}" for n in range(self.chance.randint(1, 30))]
        self._names += names
        items = [{"external_id": name, "input": content(self._inputs, name, 0)} for name in names]
        reply = self.surely("POST", f"{self.path}/items", {"items": items})
        if reply is not None and reply.status == 202:
            for receipt in reply.body["items"]:
                self._received(receipt)

    def _received(self, receipt: Mapping[str, Any]) -> None:
        if receipt["state"] in ("conflict", "invalid"):
            self.ledger.unexpected(f"POST of {receipt['external_id']}", 202, receipt)
            return
        self.ledger.sent(receipt["external_id"])
        self.ledger.count(items=1)

    def _again(self, name: str) -> None:
        """The same once more, as after a lost reply: it adds nothing. What was changed since is left alone."""
        if self.ledger.items[name].changes == 0:
            body = {"items": [{"external_id": name, "input": content(self._inputs, name, 0)}]}
            reply = self.surely("POST", f"{self.path}/items", body)
            if (
                reply is not None
                and reply.status == 202
                and (reply.body["items"][0]["new"] or "problem" in reply.body["items"][0])
            ):
                self.ledger.unexpected(f"POST of {name}, once more,", 202, reply.body)
            self.ledger.count(duplicates=1)

    def _replace(self, name: str) -> None:
        sent = self.ledger.items[name]
        wanted = {"input": content(self._inputs, name, sent.changes + 1)}
        reply = self.surely("PUT", f"{self.path}/items/{name}", wanted)
        sent.sure, sent.cancelled = reply is not None, False
        sent.changes += 1
        self.ledger.count(replaced=1)

    def _cancel(self, name: str) -> None:
        sent = self.ledger.items[name]
        reply = self.surely("DELETE", f"{self.path}/items/{name}")
        sent.sure, sent.cancelled = reply is not None, True
        self.ledger.count(cancelled=1)

    def _ask(self, name: str) -> None:
        reply = self.surely("POST", f"{self.path}/items/{name}/review", {"reason": "A customer asks."}, fine=(409,))
        self.ledger.count(asked=int(reply is not None and reply.status == 200))

    def _known(self) -> str | None:
        """One of those that were acknowledged, and of which nothing is unsure."""
        name = self.chance.choice(self._names) if self._names else ""
        return name if name in self.ledger.items else None


class Person(Client):
    """Takes cases and decides them with the next one in hand; skips, escalates, undoes, and is late at times."""

    def __init__(self, *args: Any, name: str) -> None:
        super().__init__(*args)
        self._name, self._n, self._case = name, 0, dict[str, Any]()

    def act(self) -> None:
        case = self._case or self._take()
        self._case = {}
        if not case:
            self._stop_event.wait(PAUSE_SECONDS)
            return
        if self.chance.random() < LATE:
            self.ledger.count(late=1)
            self._stop_event.wait(LEASE_SECONDS + 1)
        if case["blind"] and not case["first_given"]:
            case = self._answer(case)
        if case:
            self._decide(case)

    def _take(self) -> dict[str, Any]:
        reply = self.surely("POST", f"{self.path}/claims", {"count": 1, "session": self._name})
        return dict(reply.body["claims"][0]) if reply is not None and reply.status == 200 else {}

    def _answer(self, case: Mapping[str, Any]) -> dict[str, Any]:
        key, label = self._key(), self._label(case)
        body = {"token": case["token"], "key": key, "label": label}
        reply = self.surely("POST", f"/tasks/{case['task_id']}/answer", body, fine=(409,))
        if reply is None or reply.status != 200:
            return {}
        self.ledger.decided(key, reply.body["answer"]["verdict"])
        return dict(reply.body["claim"] or {})

    def _decide(self, case: Mapping[str, Any]) -> None:
        key, said = self._key(), self._said(case)
        path = f"/tasks/{case['task_id']}/decisions?hold=1&session={self._name}"
        reply = self.surely("POST", path, {"token": case["token"], "key": key, **said}, fine=(409,))
        if reply is None or reply.status == 409:
            self.ledger.count(refused=int(reply is not None))
            return
        if reply.status in (200, 201):
            self.ledger.decided(key, str(said["verdict"]))
            self.ledger.count(decisions=1)
            self.ledger.took(reply.seconds)
            self._case = dict(reply.body["claims"][0]) if reply.body["claims"] else {}
            if self.chance.random() < 0.05:
                self._undo(reply.body["decision"]["id"])

    def _undo(self, decision: str) -> None:
        reply = self.surely("POST", f"/decisions/{decision}/undo", {"session": self._name}, fine=(422,))
        self.ledger.count(undone=int(reply is not None and reply.status == 200))

    def _said(self, case: Mapping[str, Any]) -> dict[str, Any]:
        predicted = case["prediction"]["label"] if case["prediction"] else None
        verdict = self.chance.choice(VERDICTS)
        if verdict in ("skip", "escalate") and not case["blind"]:
            return {"verdict": verdict}
        if predicted is not None and verdict != "correct":
            return {"verdict": "accept"}
        others = [each["label"] for each in case["labels"] if each["label"] != predicted]
        return {"verdict": "correct", "label": self.chance.choice(others)}

    def _label(self, case: Mapping[str, Any]) -> str:
        return str(self.chance.choice([each["label"] for each in case["labels"]]))

    def _key(self) -> str:
        self._n += 1
        return f"{self._name}-{self._n}"


class Reader(Client):
    """Follows the events, and sees that none is missing between two."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.last = 0

    def act(self) -> None:
        if not self.read():
            self._stop_event.wait(PAUSE_SECONDS)

    def read(self) -> int:
        """The next page; how many events."""
        reply = self.surely("GET", f"{self.path}/events?after={self.last}&limit=1000")
        found = reply.body["events"] if reply is not None and reply.status == 200 else []
        for each in found:
            if int(each["seq"]) != self.last + 1:
                self.ledger.unexpected(f"event {self.last + 1}", 200, each)
            self.last = int(each["seq"])
        self.ledger.count(events=len(found))
        return len(found)
