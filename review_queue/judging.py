"""Whether people judge or nod: what each says of cases whose answer is known, before they see the prediction and after it.

Shares have the exact interval of Clopper and Pearson. What a person says blind and what they keep afterwards are held against
the prediction as in a judge-advisor study: agreement with a wrong and with a right prediction before and after it is shown,
and, of those who differed first, how many went over (Schemmer et al. 2023, "Appropriate Reliance on AI Advice": relative AI
reliance where it is right, one minus relative self-reliance where it is wrong).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from statistics import median

from sqlalchemy import select
from sqlalchemy.orm import Session

from contract.policy import Prompt
from db import bulk
from db.tables import Activity, Decision, Gold, Person
from review_queue import activity, answers, clock, exact
from review_queue.activity import Actor
from review_queue.answers import Answered
from review_queue.pace import Quantile, quantile
from review_queue.people import PLAYERS
from review_queue.periods import Period
from review_queue.projects import Setting

FEW = 10
"""A share of fewer cases is not shown as a figure."""
WINDOW = 20_000
"""Decisions, the latest first, that times and the trend look back over; and as many on known answers."""
WEEKS = 8
"""Weeks of the trend."""
HISTORY = 300
"""Earlier decisions by which it is told how long a person usually takes."""
LEAST = 50
"""So many of them there have to be."""
OVER = 20
"""How many more than asked for a run may have when it is spoken of: a list of decisions may come at once."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its exact interval; None of nothing."""

    part: int
    of: int

    @property
    def is_few(self) -> bool:
        return self.of < FEW

    @property
    def value(self) -> float | None:
        return self.part / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float] | None:
        return exact.interval(self.part, self.of) if self.of else None


@dataclass(frozen=True, slots=True)
class Both:
    """The same share before the prediction was shown and after it."""

    before: Share
    after: Share


@dataclass(frozen=True, slots=True)
class Week:
    """Of the final answers of a week, beginning with its Monday, those that are the prediction."""

    monday: date
    agreed: Share


@dataclass(frozen=True, slots=True)
class Figures:
    """One person. Of known answers that were mixed in: `caught`, blind answers that differ from a wrong prediction; `wrong` and
    `right`, answers that are the wrong or the right prediction; `correct`, those that are the known answer.

    `to_wrong`, `to_right`: of those who differed first, who went over to the prediction; here settled disputes count too.
    Seconds: of blind cases `before` and `after` the prediction was shown, and of others, where it was `seen` from the start.
    """

    person: str
    gold: int
    caught: Share
    wrong: Both
    right: Both
    correct: Both
    to_wrong: Share
    to_right: Share
    timed: tuple[int, int]
    before: Quantile
    after: Quantile
    seen: Quantile
    weeks: tuple[Week, ...]


@dataclass(frozen=True, slots=True)
class Judging:
    """Figures by person. They end with the last whole day, so that nobody can tell by them which case was a known one.

    `whole`: these are all decisions there are (of the time asked for).
    """

    until: datetime
    whole: bool
    people: tuple[Figures, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A blind case of one person: the first answer, and the one that stands afterwards, None while it is in hand."""

    first: Answered
    final: Answered | None
    truth: str | None
    known: bool  # whether the truth is; no label fits where it is None then

    @property
    def is_gold(self) -> bool:
        return self.first.basis == "gold"

    @property
    def errs(self) -> bool:
        """Whether the model erred."""
        return self.first.predicted != self.truth

    @property
    def differs(self) -> bool:
        return self.first.label != self.first.predicted


def of(session: Session, setting: Setting, period: Period | None = None, *, by: Actor) -> Judging:
    """Everybody's figures for leads and up; for others their own. `period`: of all time where none is given."""
    since, until = period.since if period else None, _midnight(setting)
    until = min(until, period.before) if period else until
    known = answers.gold(session, setting.id, WINDOW, since=since, before=until)
    window = answers.latest(session, setting.id, WINDOW, since=since, before=until)
    ordinary = [each for each in window.answers if each.basis != "gold"]
    held = _by_person([*known.answers, *ordinary])
    names = _names(session, held, by)
    truths = _truths(session, {each.item_id for person in names for each in held[person]})
    people = tuple(figures(name, held[person], truths, setting) for person, name in names.items())
    return Judging(until, window.whole and known.whole, tuple(sorted(people, key=lambda each: each.person)))


def figures(name: str, said: Sequence[Answered], truths: dict[int, str | None], setting: Setting) -> Figures:
    """The figures of one person's answers. `truths`: items whose answer is known, None where no label fits."""
    kinds = ([each for each in said if (each.basis == "gold") is it] for it in (True, False))
    pairs = [pair for kind in kinds for pair in _pairs(kind, truths)]
    gold = [each for each in pairs if each.is_gold and each.known and each.first.predicted is not None]
    wrong, right = ([each for each in gold if each.errs is it] for it in (True, False))
    differed = [each for each in pairs if each.known and each.differs and each.final and each.first.predicted is not None]
    before, after = _seconds(each.first for each in pairs), _seconds(each.final for each in pairs if each.final)
    finals = [each for each in _standing(said) if each.basis in ("routed", "drawn") and each.predicted is not None]
    return Figures(
        person=name,
        gold=len(gold),
        caught=Share(sum(each.differs for each in wrong), len(wrong)),
        wrong=_agreed(wrong),
        right=_agreed(right),
        correct=_both(gold, [each.truth for each in gold]),
        to_wrong=_went_over(each for each in differed if each.errs),
        to_right=_went_over(each for each in differed if not each.errs),
        timed=(len(before), len(after)),
        before=quantile(before, 0.5),
        after=quantile(after, 0.5),
        seen=quantile(_seconds(each for each in finals if not each.blind), 0.5),
        weeks=_weeks(finals, setting),
    )


def _pairs(said: Sequence[Answered], truths: dict[int, str | None]) -> Iterable[Pair]:
    """Blind cases, each with its first answer and the one that stands."""
    last = {each.task_id: each for each in _standing(said) if each.blind}
    for first in (each for each in said if each.stage == "first" and each.kind != "adjudication"):
        yield Pair(first, last.get(first.task_id), truths.get(first.item_id), first.item_id in truths)


def _standing(said: Sequence[Answered]) -> list[Answered]:
    """Final answers that were not changed and whose task is done."""
    changed = {each.supersedes_id for each in said}
    return [each for each in said if each.stage == "final" and each.state == "completed" and each.id not in changed]


def _agreed(pairs: Sequence[Pair]) -> Both:
    return _both(pairs, [each.first.predicted for each in pairs])


def _both(pairs: Sequence[Pair], wanted: Sequence[str | None]) -> Both:
    """How many said what is wanted, first and in the end."""
    done = [(each.final, want) for each, want in zip(pairs, wanted, strict=True) if each.final is not None]
    first = sum(each.first.label == want for each, want in zip(pairs, wanted, strict=True))
    return Both(Share(first, len(pairs)), Share(sum(final.label == want for final, want in done), len(done)))


def _went_over(differed: Iterable[Pair]) -> Share:
    held = [each.final for each in differed if each.final is not None]
    return Share(sum(each.label == each.predicted for each in held), len(held))


def _seconds(said: Iterable[Answered]) -> list[float]:
    return [each.seconds for each in said if each.seconds is not None]


def _weeks(finals: Sequence[Answered], setting: Setting) -> tuple[Week, ...]:
    """The latest weeks in which the person decided, oldest first, by the project's calendar days."""
    held: dict[date, list[bool]] = defaultdict(list)
    for each in finals:
        day = each.decided_at.astimezone(setting.project.zone).date()
        held[day - timedelta(days=day.weekday())].append(each.label == each.predicted)
    return tuple(Week(monday, Share(sum(held[monday]), len(held[monday]))) for monday in sorted(held)[-WEEKS:])


def _by_person(said: Iterable[Answered]) -> dict[int, list[Answered]]:
    held: dict[int, list[Answered]] = defaultdict(list)
    for each in sorted(said, key=lambda each: each.id):
        held[each.person_id].append(each)
    return held


def _names(session: Session, held: dict[int, list[Answered]], by: Actor) -> dict[int, str]:
    """Whose figures are shown: known answers that play a person are none."""
    query = select(Person.id, Person.name).where(Person.id.in_(held), Person.kind == "person", Person.name.not_in(PLAYERS))
    query = query if by.at_least("lead") else query.where(Person.id == by.id)
    return dict(session.execute(query).tuples().all())


def _truths(session: Session, item_ids: set[int]) -> dict[int, str | None]:
    query = select(Gold.item_id, Gold.label).where(bulk.among(session, Gold.item_id, list(item_ids)))
    return dict(session.execute(query).tuples().all())


def _midnight(setting: Setting) -> datetime:
    today = clock.now().astimezone(setting.project.zone).date()
    return datetime.combine(today, time(0), setting.project.zone)


# A run of quick accepts


@dataclass(frozen=True, slots=True)
class _Quick:
    """A decision that may belong to a run."""

    id: int
    verdict: str
    seconds: float | None
    blind: bool


def prompt(session: Session, setting: Setting, actor: Actor) -> str | None:
    """A sentence where this person's latest decisions are a long run of quick accepts, as the policy has it; once a run.

    Call it in the transaction of the decision, or after it: that it was said is kept. Blind cases, of which a first answer is
    stored, are passed over: nobody nods there. One statement by an index; a few more where there may be a run.
    """
    wished = setting.policy.review.prompt
    if wished == "off":
        return None
    latest = _latest(session, setting.id, actor.id, wished.after + OVER)
    run = _run(latest)
    if len(run) < wished.after:
        return None
    usual = _usual(session, setting.id, actor.id, run[-1].id)
    bound = wished.within.total_seconds() if wished.within != "own" else None if usual is None else usual / 2
    quick = _run(latest, bound) if bound is not None else []
    if not wished.after <= len(quick) < wished.after + OVER or _was_told(session, actor, quick):
        return None
    subject, after = f"person:{actor.name}", {"decision": str(quick[0].id), "accepts": len(quick)}
    activity.record(session, actor, "desk.prompt", subject, project_id=setting.id, after=after)
    return sentence(wished, len(quick), max(each.seconds or 0.0 for each in quick), usual)


def sentence(wished: Prompt, accepts: int, slowest: float, usual: float | None) -> str:
    """What is said of a run."""
    told = f"{accepts} accepted in a row, each within {max(slowest, 0.1):.1f} s"
    compared = f"; you usually take about {usual:.1f} s" if usual is not None else ""
    return f"{told}{compared}. Take a breath, and look at the next one as if nothing had been predicted."


def _latest(session: Session, project_id: int, person_id: int, count: int, before: int | None = None) -> list[_Quick]:
    """A person's latest final decisions, newest first."""
    query = select(Decision.id, Decision.verdict, Decision.seconds, Decision.blind, Decision.project_id, Decision.stage)
    query = query.where(Decision.person_id == person_id)
    query = query if before is None else query.where(Decision.id < before)
    near = query.order_by(Decision.decided_at.desc(), Decision.id.desc()).limit(count * 3)
    rows = session.execute(near).tuples()
    held = [_Quick(*row[:4]) for row in rows if row[4] == project_id and row[5] == "final"]
    return [each for each in held if not each.blind][:count]


def _run(latest: Sequence[_Quick], bound: float | None = None) -> list[_Quick]:
    """The accepts with which a list, newest first, begins; with a bound those that were given within it."""
    held: list[_Quick] = []
    for each in latest:
        if each.verdict != "accept" or each.seconds is None or (bound is not None and each.seconds > bound):
            break
        held.append(each)
    return held


def _usual(session: Session, project_id: int, person_id: int, before: int) -> float | None:
    """The median of the seconds that a person took before a run; None where too little is known."""
    earlier = _latest(session, project_id, person_id, HISTORY, before)
    took = [each.seconds for each in earlier if each.seconds is not None]
    return median(took) if len(took) >= LEAST else None


def _was_told(session: Session, actor: Actor, run: Sequence[_Quick]) -> bool:
    """Whether the run, or one that it goes on from, was spoken of."""
    query = select(Activity.after).where(Activity.subject == f"person:{actor.name}", Activity.verb == "desk.prompt")
    last = session.scalar(query.order_by(Activity.id.desc()).limit(1))
    return last is not None and int(last["decision"]) >= run[-1].id
