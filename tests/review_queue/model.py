"""What the queue must do, in plain Python: the people, tasks and outcomes of one project without a database."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

LEASE, UNDO_WINDOW, AUDIT_DUE, MAX_SKIPS = timedelta(minutes=10), timedelta(seconds=15), timedelta(days=7), 2
HORIZON, ASKED, FIRST_FOR = timedelta(hours=24), timedelta(hours=2.4), timedelta(days=1)
OPEN = ("pending", "in_progress", "parked")
TAKEN = ("held", "answered", "skipped")
ANSWERS = ("accept", "correct", "reject")
NOTHING = "nothing"
"""No first answer was given. None is a rejection."""
UNKNOWN = 10**12
"""From here on tasks are numbered whose number in the database is not known yet."""


class Refused(Exception):
    """What the verbs refuse; the message is the code."""


@dataclass
class Claim:
    """One hold of a person on a task."""

    person: str
    task: "Task"
    token: str
    expires: datetime
    n: int
    state: str = "held"
    first: str | None = NOTHING
    first_n: int = 0


@dataclass
class Said:
    """A final decision."""

    key: str
    claim: Claim
    verdict: str
    label: str | None
    n: int


@dataclass
class Task:
    id: int
    item: "Item"
    kind: str
    seat: int
    blind: bool
    rank: datetime
    state: str = "pending"
    requested: bool = False
    assignee: str | None = None
    assigned_until: datetime | None = None
    parked_until: datetime | None = None
    parked_with: Claim | None = None
    audience: str = "reviewers"
    skips: int = 0
    claims: list[Claim] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)

    @property
    def holder(self) -> Claim | None:
        return next((claim for claim in self.claims if claim.state == "held"), None)

    @property
    def answer(self) -> Said | None:
        """What stands, of a completed task."""
        given = [said for said in self.said if said.verdict in ANSWERS]
        return given[-1] if self.state == "completed" and given else None


@dataclass
class Told:
    """An announcement; it leaves once the undo window is over."""

    ready: datetime
    kind: str
    revision: int
    said: Said | None
    left: bool = False


@dataclass
class Item:
    name: str
    revision: int
    predicted: str | None
    route: str
    drawn: bool
    routed_at: datetime
    tasks: list[Task] = field(default_factory=list)
    outcomes: list[tuple[str | None, Said | None]] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    draw: str | None = None
    closed: bool = False

    @property
    def reviews(self) -> list[Task]:
        """The seats that the rule asked for."""
        return [task for task in self.of("review") if not task.requested]

    def seat_of(self, person: str) -> bool:
        return any(claim.person == person and claim.state in TAKEN for task in self.tasks for claim in task.claims)

    def of(self, kind: str) -> list[Task]:
        return [task for task in self.tasks if task.kind == kind]


class Model:
    """The verbs, told the time. A refusal is a `Refused` with the code of the real one."""

    def __init__(self, leads: set[str], reviewers: int, *, audited: bool, seconded: bool) -> None:
        self.leads, self.reviewers, self.audited, self.seconded = leads, reviewers, audited, seconded
        self.items: list[Item] = []
        self.claims: list[Claim] = []
        self.said: list[Said] = []
        self._n, self._unknown = 0, itertools.count(UNKNOWN)

    # What arrives

    def route(self, name: str, predicted: str | None, sure: float, now: datetime) -> None:
        """What was sent under this name the last time is scored; it may be a new revision."""
        before = [item for item in self.items if item.name == name]
        route = "auto" if sure >= 0.9 else "review"
        item = Item(name, len(before) + 1, predicted, route, self.audited and sure >= 0.3, now)
        self.items.append(item)
        if route == "auto":
            item.outcomes.append((predicted, None))
            item.told.append(Told(now, "outcome", 1, None))
            item.tasks = [self._task(item, "audit", 1)] if item.drawn else []
        else:
            item.tasks = [self._task(item, "review", seat + 1) for seat in range(self.reviewers)]
            item.tasks += [self._task(item, "second", 1)] if self.seconded and predicted is not None else []
            for task, person in zip(item.reviews, self._who_parked(before), strict=False):
                task.assignee, task.assigned_until = person, now + FIRST_FOR

    def _who_parked(self, before: list[Item]) -> list[str]:
        """Who had parked the last revision that people were asked about."""
        last = next((item for item in reversed(before) if item.of("review")), None)
        tasks = sorted(last.of("review"), key=lambda task: task.seat) if last else []
        return [task.assignee for task in tasks if task.state == "cancelled" and task.assignee]

    def _task(self, item: Item, kind: str, seat: int) -> Task:
        return Task(next(self._unknown), item, kind, seat, kind != "review" or item.drawn, item.routed_at + HORIZON)

    @property
    def tasks(self) -> list[Task]:
        return [task for item in self.items for task in item.tasks]

    def standing(self, name: str) -> Item:
        return [item for item in self.items if item.name == name][-1]

    # Holding

    def claim(self, person: str, count: int, now: datetime) -> list[Claim]:
        """Those that are held afterwards. A new one has no token before the real one is known."""
        self.expire(now)
        mine = [claim for claim in self.claims if claim.person == person and claim.state == "held"]
        for claim in mine:
            claim.expires = now + LEASE
        for _ in range(count - len(mine)):
            task = self.next(person, now)
            if task is None:
                break
            self._n += 1
            claim = Claim(person, task, "", now + LEASE, self._n)
            task.state = "in_progress"
            task.claims.append(claim)
            self.claims.append(claim)
            mine.append(claim)
        return sorted(mine, key=lambda claim: claim.n)

    def next(self, person: str, now: datetime) -> Task | None:
        mine = [t for t in self.tasks if t.state == "pending" and self._is_for(t, person, now) and not t.item.seat_of(person)]
        for audience in ("leads", "reviewers") if person in self.leads else ("reviewers",):
            if free := [task for task in mine if task.audience == audience]:
                return min(free, key=lambda task: (task.rank, task.id))
        return None

    def _is_for(self, task: Task, person: str, now: datetime) -> bool:
        return task.assignee in (None, person) or (task.assigned_until is not None and task.assigned_until < now)

    def heartbeat(self, claim: Claim, now: datetime) -> bool:
        if claim.state == "held":
            claim.expires = now + LEASE
        return claim.state == "held"

    def release(self, claim: Claim, now: datetime) -> bool:
        if claim.state != "held":
            return False
        self._end(claim, "released", now)
        return True

    def expire(self, now: datetime) -> None:
        over = [claim for claim in self.claims if claim.state == "held" and claim.expires < now]
        for claim in sorted(over, key=lambda claim: claim.first_n):
            self._end(claim, "expired", now)

    def _end(self, claim: Claim, state: str, now: datetime) -> None:
        """A blind first answer that is given stands; else the task waits for all."""
        claim.state, task = state, claim.task
        task.state = "pending"
        if claim.first != NOTHING:
            claim.state, task.state = "answered", "completed"
            verdict = "reject" if claim.first is None else "accept" if claim.first == task.item.predicted else "correct"
            task.said.append(self._new("", claim, verdict, claim.first))
            self._settle(task, now)

    # Putting aside

    def park(self, claim: Claim, parked_until: datetime | None, now: datetime) -> None:
        if claim.task.state == "parked" and claim.task.assignee == claim.person and claim.state == "released":
            return
        task = self._require(claim, now, lambda _: "invalid" if claim.first != NOTHING else None)
        claim.state, task.state, task.assignee, task.assigned_until = "released", "parked", claim.person, None
        task.parked_until, task.parked_with = now if parked_until is None and task.item.closed else parked_until, claim

    def unpark(self, task: Task, person: str, now: datetime) -> None:
        if task.state != "parked":
            raise Refused("refused")
        if task.assignee != person and person not in self.leads:
            raise Refused("forbidden")
        self._bring_back(task, person if task.assignee == person else None, now)

    def resume(self, task: Task, person: str, now: datetime) -> None:
        if task.state != "parked" or task.assignee != person or task.item.seat_of(person):
            raise Refused("refused")
        assert task.parked_with
        task.parked_with.state, task.parked_with.expires = "held", now + LEASE
        task.state, task.assignee, task.parked_until = "in_progress", None, None

    def wake(self, now: datetime) -> None:
        for task in self.tasks:
            if task.state == "parked" and task.parked_until is not None and task.parked_until <= now:
                self._bring_back(task, task.assignee, now)

    def _bring_back(self, task: Task, first: str | None, now: datetime) -> None:
        first = None if first is None or task.item.seat_of(first) else first
        task.state, task.assignee, task.parked_until = "pending", first, None
        task.assigned_until = now + FIRST_FOR if first else None

    # What becomes of an item

    def close(self, item: Item, now: datetime) -> None:
        """It is replaced or cancelled: open work ends but for checks of what acted alone, and what has not left is unsaid."""
        item.closed = True
        for task in item.tasks:
            if task.state in OPEN and (task.kind not in ("audit", "adjudication") or not item.of("audit")):
                if task.holder:
                    task.holder.state = "released"
                task.state = "cancelled"
            elif task.state == "parked" and task.parked_until is None:
                task.parked_until = now
        waiting = [told for told in item.told if not told.left]
        begin = next((n for n, told in enumerate(waiting) if told.ready > now), len(waiting))
        gone = [told for told in waiting[begin:] if told.said is not None]
        item.told = [told for told in item.told if told not in gone]
        lost = {told.revision for told in gone if told.kind in ("outcome", "revision")}
        item.outcomes = [each for n, each in enumerate(item.outcomes, 1) if n not in lost]

    def ask(self, person: str, item: Item, now: datetime) -> None:
        self._must_be_decided(item, person)
        waiting = next((task for task in item.of("review") if task.state in OPEN), None)
        if waiting is not None and not waiting.requested:
            raise Refused("refused")
        if waiting is None:
            item.tasks.append(self._requested(item, now))

    def revise(self, person: str, item: Item, key: str, label: str | None, now: datetime) -> None:
        """A lead's own answer stands: in the seat that they answered, else in a new one."""
        self._must_be_decided(item, person)
        claim = next((c for t in item.tasks for c in t.claims if c.person == person and c.state in TAKEN), None)
        if claim is not None and claim.state == "held":
            raise Refused("refused")
        if claim is None or claim.state == "skipped":
            claim = self._seated(person, item, claim, now)
        verdict = "reject" if label is None else "accept" if label == item.predicted else "correct"
        said = self._new(key, claim, verdict, label)
        claim.task.said.append(said)
        self._stand(item, said, now)
        for task in item.tasks:
            task.state = "cancelled" if task.requested and task.state in ("pending", "parked") else task.state

    def _seated(self, person: str, item: Item, skipped: Claim | None, now: datetime) -> Claim:
        if skipped is not None:
            skipped.state = "released"
        self._n += 1
        task = self._requested(item, now)
        claim = Claim(person, task, "", now + LEASE, self._n, "answered")
        task.state, task.claims = "completed", [claim]
        item.tasks.append(task)
        self.claims.append(claim)
        return claim

    def _requested(self, item: Item, now: datetime) -> Task:
        seat = max((task.seat for task in item.of("review")), default=0) + 1
        return Task(next(self._unknown), item, "review", seat, False, now + ASKED, requested=True)

    def _must_be_decided(self, item: Item, person: str) -> None:
        """And nothing of it is to be told to who may still answer it unseen."""
        mine = [claim for task in item.tasks for claim in task.claims if claim.person == person]
        blind = any(task.blind and task.state in OPEN for task in item.tasks)
        answered = any(claim.state == "answered" or claim.first != NOTHING for claim in mine)
        to_answer = any(claim.state == "held" for claim in mine) or (blind and not answered)
        if item.closed or not item.outcomes or to_answer:
            raise Refused("refused")

    # Saying

    def answer(self, claim: Claim, label: str | None, now: datetime) -> None:
        task = self._require(claim, now, lambda task: None if task.blind else "invalid")
        if claim.first != NOTHING:
            raise Refused("already_decided")
        self._n += 1
        claim.first, claim.first_n = label, self._n
        self._first(task, label, now)

    def decide(self, claim: Claim, key: str, verdict: str, label: str | None, now: datetime) -> None:
        task = self._require(claim, now, lambda task: self._objection(task, claim, verdict, label))
        said = self._new(key, claim, verdict, task.item.predicted if verdict == "accept" else label)
        task.said.append(said)
        if verdict in ANSWERS:
            claim.state, task.state = "answered", "completed"
            self._settle(task, now)
            return
        task.state, claim.state = "pending", "skipped" if verdict == "skip" else "escalated"
        task.skips += verdict == "skip"
        if verdict == "escalate" or task.skips >= MAX_SKIPS:
            task.audience = "leads"

    def undo(self, said: Said, now: datetime) -> None:
        claim, task = said.claim, said.claim.task
        if not self.can_undo(said):
            raise Refused("invalid")
        self._retract(said)
        claim.state, claim.expires, task.state = "held", now + LEASE, "in_progress"
        if said.verdict in ANSWERS:
            self._reconsider(task.item)
            return
        task.skips -= said.verdict == "skip"
        escalated = any(claim.state == "escalated" for claim in task.claims)
        task.audience = "leads" if task.skips >= MAX_SKIPS or escalated else "reviewers"

    def last_of(self, person: str) -> Said | None:
        theirs = [said for said in self.said if said.claim.person == person][-5:]
        return next((said for said in reversed(theirs) if self.can_undo(said)), None)

    def can_undo(self, said: Said) -> bool:
        """It is the last that was said under its claim, and nobody has the task since."""
        claim, task = said.claim, said.claim.task
        if any(other.claim is claim and other.n > said.n for other in task.said):
            return False
        if said.verdict in ANSWERS:
            done = task.state == "completed" and claim.state == "answered" and not task.item.closed
            return done and not self._is_corrected(said)
        if said.verdict == "skip":
            return task.state == "pending" and claim.state == "skipped"
        return task.state == "pending" and claim.state == "escalated" and not task.item.seat_of(claim.person)

    def _is_corrected(self, said: Said) -> bool:
        """Somebody else was asked to look again, or corrected it, after that."""
        asked = [task.answer for task in said.claim.task.item.tasks if task.requested and task.answer]
        return any(other.n > said.n and other.claim.person != said.claim.person for other in asked)

    def _new(self, key: str, claim: Claim, verdict: str, label: str | None) -> Said:
        self._n += 1
        self.said.append(Said(key, claim, verdict, label, self._n))
        return self.said[-1]

    def _require(self, claim: Claim, now: datetime, objection: Callable[[Task], str | None]) -> Task:
        """The task, held. A lease that ran out is taken up again where nobody has taken anything since."""
        task = claim.task
        if claim.state in ("answered", "skipped", "escalated"):
            raise Refused("already_decided")
        lost = claim.state == "expired" and task.state == "pending" and not task.item.seat_of(claim.person)
        if claim.state != "held" and not lost:
            raise Refused("claim_expired")
        if code := objection(task):
            raise Refused(code)
        if lost:
            claim.state, claim.expires, task.state = "held", now + LEASE, "in_progress"
        return task

    def _objection(self, task: Task, claim: Claim, verdict: str, label: str | None) -> str | None:
        if verdict in ("skip", "escalate"):
            return "invalid" if claim.first != NOTHING else None
        if task.blind and claim.first == NOTHING:
            return "answer_first"
        if verdict == "accept":
            return "invalid" if task.item.predicted is None else None
        return "invalid" if verdict == "correct" and label == task.item.predicted else None

    # What follows

    def _first(self, task: Task, label: str | None, now: datetime) -> None:
        item = task.item
        if task.kind == "second" or task.requested:
            return
        if task.kind == "adjudication":
            item.draw = item.draw or ("adjudicated" if item.drawn else None)
        elif item.drawn and item.draw is None and not self._open_adjudication(item):
            if label is not None and label == item.predicted:
                item.draw = "blind"
            else:
                self._adjudicate(item)

    def _settle(self, task: Task, now: datetime) -> None:
        item = task.item
        if item.closed:
            return
        adjudicated = [t.answer for t in item.of("adjudication") if t.answer]
        reviews = [t.answer for t in item.reviews if t.answer]
        if task.requested:
            assert task.answer
            self._stand(item, task.answer, now)
        elif adjudicated:
            if task.kind == "adjudication":
                self._stand(item, adjudicated[-1], now)
        elif task.kind == "audit":
            assert task.answer
            self._stand(item, task.answer, now)
        elif item.reviews and len(reviews) == len(item.reviews):
            last = max(reviews, key=lambda said: said.n)
            if len({said.label for said in reviews}) > 1:
                self._adjudicate(item)
                return
            if task.kind == "review":
                self._stand(item, last, now)
            if any(t.answer and t.answer.label != last.label for t in item.of("second")):
                self._adjudicate(item)

    def _stand(self, item: Item, said: Said, now: datetime) -> None:
        same = bool(item.outcomes) and item.outcomes[-1][0] == said.label
        if not same:
            item.outcomes.append((said.label, said))
        kind = "confirmed" if same else "outcome" if len(item.outcomes) == 1 else "revision"
        item.told.append(Told(now + UNDO_WINDOW, kind, len(item.outcomes), said))

    def _open_adjudication(self, item: Item) -> Task | None:
        return next((t for t in item.of("adjudication") if t.state != "cancelled"), None)

    def _adjudicate(self, item: Item) -> None:
        cancelled = next((t for t in item.of("adjudication") if t.state == "cancelled"), None)
        if cancelled:
            cancelled.state = "pending"
        elif not self._open_adjudication(item):
            item.tasks.append(self._task(item, "adjudication", 1))

    def _retract(self, said: Said) -> None:
        """What rests on it and its like and has not left is withdrawn, unless something later was built on it."""
        item, task = said.claim.task.item, said.claim.task
        alike = [task] if task.requested else [t for t in item.tasks if t.kind == task.kind and not t.requested]
        beside = {id(each) for t in alike for each in t.said}
        theirs = [told for told in item.told if not told.left and told.said is not None and id(told.said) in beside]
        if theirs and any(told not in theirs for told in item.told[item.told.index(theirs[0]) :]):
            return
        gone = {id(told.said) for told in theirs}
        item.told = [told for told in item.told if told not in theirs]
        item.outcomes = [each for each in item.outcomes if each[1] is None or id(each[1]) not in gone]

    def _reconsider(self, item: Item) -> None:
        orphan = next((t for t in item.of("adjudication") if t.state == "pending"), None)
        if orphan is None:
            return
        reviews = item.reviews
        labels = {t.answer.label for t in reviews + item.of("second") if t.answer}
        disputed = bool(reviews) and all(t.answer for t in reviews) and len(labels) > 1
        firsts = any(claim.first != NOTHING for t in item.tasks for claim in t.claims)
        if not disputed and not (item.drawn and item.draw is None and firsts):
            orphan.state = "cancelled"

    # What time does

    def sequence(self, now: datetime) -> None:
        for item in self.items:
            for told in item.told:
                told.left = told.left or told.ready <= now

    def resolve_overdue(self, now: datetime) -> None:
        for item in self.items:
            if item.drawn and item.draw is None and item.routed_at + AUDIT_DUE < now:
                item.draw = "overdue"
