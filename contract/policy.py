"""policy.yaml: what the owner wishes the machine to do alone, and how people check it."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator

from contract.conditions import ConditionError, check_condition, parse_condition
from contract.durations import Duration
from contract.files import Document, FileError, Problem, nearest, read_yaml, validate
from contract.project import Project, label_text
from contract.reasons import METHODS

Autonomy = Literal["set", "earned"]
Score = Literal["max_probability", "margin", "entropy"]
Order = Literal["expected_loss", "uncertainty", "due", "fifo"]
GOLD_RATE = 0.05
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_KINDS = {"number": "number", "boolean": "boolean", "date": "date", "category": "text", "text": "text"}


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number from 0 to 1, not true or false")
    return value


def _label_keys(value: Any) -> Any:
    """A label that is a number in the file is the text that project.yaml makes of it."""
    return {label_text(label): each for label, each in value.items()} if isinstance(value, Mapping) else value


Probability = Annotated[float, Field(ge=0, le=1), BeforeValidator(_no_boolean)]
SegmentName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Cost = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Automate(_Part):
    """Which predictions act alone. `strange`: the share of ordinary cases that may be taken for unlike what was learned from."""

    at_least: Probability | Literal["off"] = "off"
    per_label: Annotated[dict[str, Probability | Literal["never"]], BeforeValidator(_label_keys)] = Field(default_factory=dict)
    never: tuple[str, ...] = ()
    strange: Annotated[float, Field(gt=0, le=0.5), BeforeValidator(_no_boolean)] | Literal["off"] = "off"

    @field_validator("never")
    @classmethod
    def _readable(cls, conditions: tuple[str, ...]) -> tuple[str, ...]:
        for condition in conditions:
            parse_condition(condition)
        return conditions


class Audit(_Part):
    """How what acts alone is checked."""

    rate: Probability = 0.05
    due: Duration = timedelta(days=7)
    corrects: bool = True


class Evidence(_Part):
    """What must be proven before more may act alone.

    `most_missed`: the share of errors that people may miss, which gold has to prove; 0: they are taken to see every one.
    `segments`: conditions; an item belongs to the first that holds, and each, like each label under `by_label`, has evidence
    and a threshold of its own.
    """

    max_error: Annotated[float, Field(gt=0, lt=1)] = 0.01
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    signers: Annotated[int, Field(ge=1, le=9)] = 1
    on_alarm: Literal["review", "notice"] = "review"
    most_missed: Annotated[float, Field(ge=0, le=0.5), BeforeValidator(_no_boolean)] = 0.25
    segments: dict[SegmentName, str] = Field(default_factory=dict)
    by_label: bool = False

    @field_validator("segments")
    @classmethod
    def _readable(cls, segments: dict[str, str]) -> dict[str, str]:
        for condition in segments.values():
            parse_condition(condition)
        return segments


class Gold(_Part):
    """How many cases whose answer is known are mixed into people's work. `wrong`: the share in which the model erred.

    `rate` left out: none under `set`, one in twenty under `earned`, where people's eyes have to be proven too.
    """

    rate: Annotated[float, Field(ge=0, le=0.5), BeforeValidator(_no_boolean)] | None = None
    wrong: Probability = 0.5


class Prompt(_Part):
    """When a run of quick accepts is spoken of. `own`: each within half the time that the person usually takes."""

    after: Annotated[int, Field(ge=5, le=500)] = 20
    within: Duration | Literal["own"] = "own"


class Review(_Part):
    """How people work."""

    lease: Duration = timedelta(minutes=10)
    due: Duration | Literal["off"] = "off"
    reviewers: Annotated[int, Field(ge=1, le=9)] = 1
    second_opinion: Probability = 0.0
    blind_first: Literal["drawn", "all"] = "drawn"
    order: Order = "expected_loss"
    undo_window: Duration = timedelta(seconds=15)
    bulk_undo: Duration = timedelta(minutes=10)
    max_skips: Annotated[int, Field(ge=1, le=100)] = 3
    due_soon: Duration = timedelta(hours=1)
    on_overdue: Literal["stay", "leads"] = "stay"
    gold: Gold = Gold()
    prompt: Prompt | Literal["off"] = Prompt()


def _day_range(value: Any) -> Any:
    first, _, last = str(value).partition("-")
    if first not in DAYS or (last or first) not in DAYS or DAYS.index(first) > DAYS.index(last or first):
        raise ValueError("is not a range of days such as mon-fri")
    return value


def _hour_range(value: Any) -> Any:
    first, _, last = str(value).partition("-")
    if not (first.isdecimal() and last.isdecimal() and 0 <= int(first) < int(last) <= 24):
        raise ValueError("is not a range of hours such as 9-17")
    return value


class Calendar(_Part):
    """When people work: due times count these hours only, and none of the holidays."""

    days: Annotated[str, BeforeValidator(_day_range)] = "mon-sun"
    hours: Annotated[str, BeforeValidator(_hour_range)] = "0-24"
    holidays: tuple[date, ...] = ()


class Intake(_Part):
    """How much may wait before producers are told to come back later."""

    most_waiting: Annotated[int, Field(ge=1)] | Literal["off"] = "off"


class Costs(_Part):
    """`error[y]`: the cost when the right label is y and another was given; `review`: one human decision; same unit."""

    error: Annotated[dict[str, Cost], BeforeValidator(_label_keys)] = Field(default_factory=dict)
    review: Cost = 0.0


class Drift(_Part):
    """What is done while inputs or scores stray from what the model learned from. `audit_rate`: spot checks meanwhile, at least;
    `every`: items of one look."""

    audit_rate: Probability = 0.25
    every: Annotated[int, Field(ge=100, le=100_000)] = 500


class Shadow(_Part):
    """Models that predict beside the one that acts. `disagreements`: the share of cases on which a challenger differs that people
    look at; `former`: how long the one that acted before goes on beside its successor, ready to come back."""

    disagreements: Annotated[float, Field(ge=0, le=1), BeforeValidator(_no_boolean)] = 0.1
    former: Duration | Literal["off"] = timedelta(days=14)


class Retrain(_Part):
    """When the next model is trained without being asked for. It ends at the gate: people let it act.

    `labels`: so many new answers; `every`: so long after the last; `on_error`: evidence of more error than is fit; `on_drift`: a
    notice of drift. `rest`: never sooner after the last.
    """

    labels: Annotated[int, Field(ge=10)] | Literal["off"] = "off"
    every: Duration | Literal["off"] = "off"
    on_error: bool = True
    on_drift: bool = True
    rest: Duration = timedelta(days=1)


class Explain(_Part):
    """Which reasons are made ahead of the people. Methods as in contract/reasons.py; none: chosen by the model."""

    methods: tuple[str, ...] = ()
    samples: Annotated[int, Field(ge=100, le=50_000)] | None = None
    evaluations: Annotated[int, Field(ge=100, le=50_000)] | None = None
    ahead: Annotated[int, Field(ge=1, le=10_000)] = 200

    @field_validator("methods")
    @classmethod
    def _known(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for method in methods:
            if method not in METHODS:
                raise ValueError(f"{method!r} is no method{nearest(method, METHODS)}")
        return methods


class Policy(_Part):
    """The owner's wish. What is in force is the routing rule made from it."""

    autonomy: Autonomy
    score: Score = "max_probability"
    automate: Automate = Automate()
    audit: Audit = Audit()
    evidence: Evidence = Evidence()
    review: Review = Review()
    calendar: Calendar = Calendar()
    intake: Intake = Intake()
    costs: Costs = Costs()
    drift: Drift | Literal["off"] = Drift()
    explain: Explain = Explain()
    shadow: Shadow = Shadow()
    retrain: Retrain | Literal["off"] = "off"

    @property
    def gold_rate(self) -> float:
        """The share of people's work that is gold."""
        if self.review.gold.rate is not None:
            return self.review.gold.rate
        return GOLD_RATE if self.autonomy == "earned" and self.evidence.most_missed else 0.0


def read_policy(path: Path, project: Project) -> Policy:
    """policy.yaml as a Policy that fits the project. Raises FileError with every problem."""
    return policy_of(read_yaml(path), project)


def policy_of(document: Document, project: Project) -> Policy:
    """The same of a document that was read already."""
    policy = validate(Policy, document)
    problems = list(_misfits(document, policy, project))
    if problems:
        raise FileError(problems)
    return policy


def condition_kinds(project: Project) -> dict[str, str]:
    """Every name that a condition may use, with the kind of its values."""
    features = {name: _KINDS[f.type] for name, f in project.input.features.items() if f.type in _KINDS}
    return {**{g: "text" for g in project.input.groups}, **features, "label": "text", "confidence": "number"}


def _misfits(document: Document, policy: Policy, project: Project) -> Iterator[Problem]:
    for place, labels in (
        (("automate", "per_label"), policy.automate.per_label),
        (("costs", "error"), policy.costs.error),
    ):
        for label in set(labels) - set(project.labels):
            yield document.problem((*place, label), "the project has no such label" + nearest(label, project.labels))
    conditions: list[tuple[tuple[str | int, ...], str]] = [
        *((("automate", "never", index), each) for index, each in enumerate(policy.automate.never)),
        *((("evidence", "segments", name), each) for name, each in policy.evidence.segments.items()),
    ]
    for key, condition in conditions:
        try:
            check_condition(condition, condition_kinds(project))
        except ConditionError as error:
            yield document.problem(key, str(error), condition)
