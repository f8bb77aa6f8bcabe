"""What a report says, before it is drawn: frozen, JSON-ready."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from review_queue.acted import Stretch, Wrong
from review_queue.agreement import Rate
from review_queue.notices import Notice
from review_queue.periods import Period
from review_queue.steps import Step
from review_queue.trends import Trend

TYPE = "text/html"


def name(project: str, first: str, last: str) -> str:
    """What a report's file is called."""
    safe = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_" for letter in project)
    return f"{safe}-report-{first}-{last}.html"


@dataclass(frozen=True, slots=True)
class Cut:
    """A part of the cases by its name, and how often what acted alone in it was wrong."""

    name: str
    wrong: Wrong


@dataclass(frozen=True, slots=True)
class Part:
    """One value of a group: how often its cases go to people, are overridden there and how long that takes.

    `seconds`: the median that an answer took; `hours`: the median from routing to the answer.
    """

    name: str
    routed: int
    reviewed: Rate
    overridden: Rate
    seconds: float | None
    hours: float | None
    wrong: Wrong


@dataclass(frozen=True, slots=True)
class Between:
    """How far apart the error shares of the parts that are known lie: largest minus smallest, and smallest over largest.

    `names`: of those compared. Limits are those of 95 % of resamples.
    """

    names: tuple[str, ...]
    difference: float
    difference_low: float
    difference_high: float
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None


@dataclass(frozen=True, slots=True)
class Grouped:
    """One group of the project. `left_out`: values with too few cases to be shown; `between` None: fewer than two are known."""

    name: str
    parts: tuple[Part, ...]
    left_out: int
    between: Between | None


@dataclass(frozen=True, slots=True)
class Signed:
    """A model version that was put up for signing. `what`: in words."""

    what: str
    state: str
    signed_by: tuple[str, ...]
    signers: int
    made_at: datetime
    applied_at: datetime | None


@dataclass(frozen=True, slots=True)
class Versioned:
    """A version of a file or of a model: when it came, by whom, and what is to be said of it."""

    name: str
    said: str
    by: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Watched:
    """Known wrong predictions given to people unseen: how many of `n` they agreed with. `most`: the share that may be missed."""

    n: int
    missed: int
    most: float
    proven: bool


@dataclass(frozen=True, slots=True)
class Report:
    """`shown`: the cases that it looks at, all of the period where `whole`. `unsettled`: of what acted alone, the latest, whose
    checks or earlier ones are not back; `unchecked`: what acted alone with no chance of a check."""

    project: str
    title: str
    noun: str
    made_at: datetime
    period: Period
    level: str
    autonomy: str
    frozen_at: datetime | None
    in_force: tuple[str, ...]
    max_error: float
    confidence: float
    signers: int
    shown: int
    whole: bool
    routes: Mapping[str, int]
    unsettled: int
    unchecked: int
    overall: Wrong
    labels: tuple[Cut, ...]
    segments: tuple[Cut, ...]
    groups: tuple[Grouped, ...]
    stretches: tuple[Stretch, ...]
    trend: Trend
    overridden: Rate
    played: Rate
    watched: Watched | None
    steps: Sequence[Step]
    signed: Sequence[Signed]
    models: Sequence[Versioned]
    policies: Sequence[Versioned]
    notices: Sequence[Notice]
