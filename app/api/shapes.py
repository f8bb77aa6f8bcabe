"""The JSON that goes in and out. Every id is a string; times are UTC."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from contract.given import MAX_METHOD, MOST_PARTS
from contract.project import Trainer
from contract.weighing import Weighing
from db.blobs import MOST
from review_queue.decisions import MAX_COMMENT, MAX_KEY
from review_queue.erasure import MOST_WHY
from review_queue.logged import LAST
from review_queue.logged import MOST as LONGEST_LOG
from review_queue.parking import MAX_NOTE
from review_queue.requests import MAX_REASON
from review_queue.truths import MOST_SOURCE

MOST_ITEMS = 1000


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL character; take it out")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds a lone surrogate; send valid Unicode") from None
    return text


Id = Annotated[str, BeforeValidator(str), Field(examples=["17"])]
Text = Annotated[str, AfterValidator(_storable)]
Key = Annotated[Text, Field(min_length=1, max_length=MAX_KEY, description="New for each act, the same for each retry: a UUID.")]
Token = Annotated[Text, Field(min_length=1, max_length=200, description="The token of the claim.")]
SessionName = Annotated[Text, Field(min_length=1, max_length=200)]
Label = Annotated[Text, Field(max_length=1000)]
Seconds = Annotated[float, Field(ge=0, lt=1e7, allow_inf_nan=False, description="Time spent on the case.")]


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FieldError(BaseModel):
    place: str
    problem: str
    value: str | None = None


class Problem(BaseModel):
    """RFC 9457. `code` is for machines and does not change; `detail` says the mend."""

    type: str = Field(examples=["urn:signoff:problem:already_decided"])
    title: str
    status: int
    detail: str
    code: str = Field(examples=["already_decided"])
    instance: str
    errors: list[FieldError] | None = Field(None, description="Every place that is wrong, for code `invalid`.")
    error_id: str | None = Field(None, description="What the log calls an error on our side.")


# Items


class ContributionIn(BaseModel):
    """Of tables a feature, of a text a stretch of it: characters (Unicode code points) from `start` to before `end`."""

    feature: str | None = Field(None, description="Tables: one of the project's features.")
    start: int | None = Field(None, description="Texts: its first character, from 0.")
    end: int | None = Field(None, description="Texts: the character after its last.")
    contribution: float = Field(description="Above 0: speaks for the label.")


class ReasonsIn(BaseModel):
    """Why the model elsewhere says so, as it explains itself. The list of contributions alone will do. Not of images so far."""

    contributions: list[ContributionIn] = Field(min_length=1, max_length=MOST_PARTS)
    label: str | None = Field(None, description="The label they speak for or against; the most probable one where left out.")
    unit: Literal["log-odds", "probability"] | None = None
    method: str | None = Field(None, max_length=MAX_METHOD, description="Your name of the method, shown at the desk.")
    base: float | None = Field(None, description="Where the contributions start from.")


class PredictionIn(BaseModel):
    """A prediction made elsewhere, of a project with `model: {uri: external}`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "probabilities": {"deny": 0.2, "pay": 0.8},
                    "model_version": "2026-11",
                    "reasons": {
                        "method": "TreeSHAP",
                        "unit": "log-odds",
                        "contributions": [{"feature": "amount", "contribution": 1.3}],
                    },
                }
            ]
        }
    )
    probabilities: dict[str, float] = Field(description="By label; they sum to 1 (within 0.001), and an absent label is 0.")
    model_version: str | None = Field(None, description="Your name of the version; that of project.yaml where left out.")
    reasons: ReasonsIn | list[ContributionIn] | None = None


class ItemContent(BaseModel):
    """An item without its id, which stands in the address."""

    input: dict[str, Any] = Field(description="What the model sees, by feature. An image is a blob or a data URI up to 1 MB.")
    show: dict[str, Any] | None = Field(None, description="What only the person sees.")
    groups: dict[str, Any] | None = Field(None, description="Values for fairness figures.")
    subject: str | None = Field(None, description="Whose data this is; only a hash is kept.")
    prediction: PredictionIn | None = Field(None, description="Where predictions are made elsewhere.")


class ItemIn(ItemContent):
    external_id: str | int = Field(description="Your id, unique in the project.")


class Items(BaseModel):
    items: list[ItemIn] = Field(min_length=1, max_length=MOST_ITEMS)


class Receipt(_Out):
    """What became of one item so far. `received`: not routed yet. `problem` says what to mend where it was not taken."""

    external_id: str
    state: Literal["received", "waiting", "decided", "failed", "cancelled", "conflict", "invalid"]
    new: bool = False
    route: Literal["auto", "review", "failed"] | None = None
    label: str | None = None
    confidence: float | None = None
    problem: str | None = None


class Receipts(BaseModel):
    items: list[Receipt]


class TruthIn(BaseModel):
    external_id: str
    label: str | int | None = Field(description="The label that proved true; null where none fits.")
    known_at: str | None = Field(None, description="When it turned out, ISO 8601; now where left out.")
    source: str | None = Field(None, max_length=MOST_SOURCE, description="What it was seen by, such as chargeback.")


class Truths(BaseModel):
    truths: list[TruthIn] = Field(min_length=1, max_length=MOST_ITEMS)


class TruthReceipt(_Out):
    """What became of one truth. `problem` says what to mend where it was not taken, `conflict` names another label that was told
    of the item, and which one stands."""

    external_id: str
    state: Literal["kept", "known", "invalid"]
    problem: str | None = None
    conflict: str | None = None


class TruthReceipts(BaseModel):
    truths: list[TruthReceipt]


class ErasureIn(_In):
    """Items by their ids, or all of one subject."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"external_ids": ["C-1042"], "why": "article 17"}]})
    external_ids: list[Text] = Field(default_factory=list, max_length=MOST_ITEMS)
    subject: Text | None = Field(None, description="Whose items; as it was sent with them.")
    why: Text | None = Field(None, max_length=MOST_WHY, description="Kept: write nothing here that is to be gone.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.external_ids) == (self.subject is not None):
            raise ValueError("name items by external_ids, or all of one subject; one of the two")
        return self


class ErasedOut(_Out):
    """`again`: it had been erased before."""

    external_id: str
    again: bool


class Erasure(BaseModel):
    """`job` takes the rows out of datasets and models; it is done when nothing of them is left."""

    items: list[ErasedOut]
    job: Id | None


class ReviewIn(_In):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "the customer disagrees"}]})
    reason: Text = Field(min_length=1, max_length=MAX_REASON, description="Shown to whoever looks.")


class Asked(_Out):
    """`new` is false where somebody had asked before and nobody has looked yet; `reason` is that of the first."""

    task_id: Id
    external_id: str
    reason: str
    new: bool


class BlobOut(BaseModel):
    blob: str = Field(examples=["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
    media_type: str
    size: int = Field(le=MOST)


class Explanation(_Out):
    id: Id
    hash: str
    method: str
    label: str
    body: dict[str, Any] = Field(
        description="As the library computed it: unit, base, contributions, params, seed, quality. `method` is `producer` for "
        "what was sent with the item; then params name the producer's method and version."
    )


class Shown(Explanation):
    """An explanation of a case. `doubt`: why the order of its contributions is not to be relied on."""

    requested: bool = Field(description="Whether it was made because somebody asked for it.")
    made_at: datetime
    doubt: str | None
    stability: float | None = Field(description="How far other seeds named the same features, 0 to 1, where that was tried.")


class AskedReason(_Out):
    """An explanation that somebody asked for; `problem` says why there is none, where it failed."""

    id: Id
    method: str
    label: str
    params: dict[str, int]
    state: Literal["waiting", "done", "failed"]
    explanation_id: Id | None
    problem: str | None


class Explanations(BaseModel):
    explanations: list[Shown]
    asked: list[AskedReason]


class AskIn(_In):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"method": "lime.tabular", "label": "deny", "samples": 5000}]}
    )
    method: Label = Field(description="As docs/explanations.md lists them.")
    label: Label | None = Field(None, description="Why (not) this one; the predicted label where left out.")
    samples: int | None = None
    evaluations: int | None = None
    features: int | None = None


class NearOut(_Out):
    """A decided case near another; `decided` is null for a rejection."""

    external_id: str
    similarity: float = Field(description="The cosine of both vectors, at most 1.")
    predicted: str | None
    decided: str | None
    at: datetime


class SimilarOut(_Out):
    """`looked_at`: how many of the nearest 20 decided cases had a predicted label; `disagreed`: in how many people decided
    otherwise."""

    space: str = Field(description="What nearness is measured in, in words.")
    cases: list[NearOut]
    looked_at: int
    disagreed: int


class Routed(_Out):
    at: datetime
    route: str
    reason: str
    label: str | None
    confidence: float | None
    pi: float
    rule_id: Id
    policy_version_id: Id
    level: str
    model_version: str = Field(description="Ours by number; the producer's name of one that answers elsewhere.")


class Judged(_Out):
    at: datetime
    person: str
    recorded_by: str | None
    stage: str
    verdict: str
    label: str | None
    reason: str | None
    comment: str | None
    seconds: float | None
    blind: bool
    kind: str
    via: str
    reasons_shown: list[str] | None = Field(description="Hashes of the explanations that were in view.")
    reasons_opened: bool | None = Field(description="Whether the person opened them.")
    among_many: bool = Field(description="One of many that a lead decided at once.")
    taken_back_at: datetime | None = Field(description="When it was taken back; it stands no more since.")


class Stood(_Out):
    at: datetime
    revision: int
    label: str | None
    source: str


class Event(_Out):
    seq: Id
    kind: str
    body: dict[str, Any]
    made_at: datetime


class Act(_Out):
    at: datetime
    actor: str | None
    on_behalf_of: str | None
    via: str
    verb: str
    subject: str
    before: Any
    after: Any


class Revision(_Out):
    revision: int
    received_at: datetime
    closed_at: datetime | None


class Truth(_Out):
    """What later proved true. `label` null: no label fits."""

    label: str | None
    known_at: datetime
    source: str | None


class Erasing(_Out):
    at: datetime
    by: str | None
    why: str | None


class Record(_Out):
    """Everything that is known of one item, in one of its revisions."""

    external_id: str
    item_id: Id
    item_revision: int = Field(description="1, and one more each time that the producer replaced the item.")
    closed_at: datetime | None = Field(description="When the producer replaced or cancelled it.")
    earlier: list[Revision] = Field(description="Revisions before this one, newest first.")
    received_at: datetime
    input: dict[str, Any]
    show: dict[str, Any]
    groups: dict[str, Any]
    state: str
    predictions: dict[str, dict[str, float]] = Field(description="Probabilities per label, by model version.")
    routings: list[Routed]
    draws: list[dict[str, Any]]
    decisions: list[Judged]
    outcomes: list[Stood]
    events: list[Event]
    explanations: list[Explanation]
    activity: list[Act]
    truths: list[Truth]
    erased: Erasing | None = Field(description="Its content is gone for good since then.")


# Claims and decisions


class ClaimsIn(_In):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"count": 3, "session": "ann-laptop"}]})
    count: int = Field(1, ge=1, le=10, description="How many cases to hold in all.")
    session: SessionName = Field(description="One name per window or program; what it holds is its own.")


class LabelOut(BaseModel):
    label: str
    title: str
    key: str | None
    guideline: str | None


class Predicted(_Out):
    """`label` is null where the model gave no answer; `reason` says why the case went to people. `external`: the model answers
    elsewhere, and `model_version` is its producer's name for it."""

    label: str | None
    confidence: float | None
    probabilities: dict[str, float]
    model_version: str
    reason: str
    external: bool


class Case(_Out):
    """A held case, with what may be shown of it now. A blind one shows no prediction before its first answer."""

    task_id: Id
    token: str
    expires_at: datetime
    external_id: str
    input: dict[str, Any]
    show: dict[str, Any]
    labels: list[LabelOut]
    reasons: dict[str, list[str]] = Field(description="What may be given as the reason, by verdict.")
    guidelines: str
    blind: bool
    first_given: bool
    first_label: str | None
    answers: list[str | None] = Field(description="The answers to settle, where some disagree; null is a rejection.")
    prediction: Predicted | None = None
    explanations: list[Shown] | None = None
    requested: str | None = Field(None, description="Why somebody asked for this look, once that may be shown.")
    note: str | None = Field(None, description="What you noted when you parked it.")


class Claims(BaseModel):
    claims: list[Case]


class ParkIn(_In):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"token": "pOx3…", "until": "2026-12-01T09:00:00+01:00", "note": "the garage calls back"}]
        },
    )
    token: Token
    until: AwareDatetime | None = Field(None, description="At most a year ahead; until the item changes where left out.")
    note: Text | None = Field(None, max_length=MAX_NOTE, description="For yourself.")


class Parked(_Out):
    """`until` is null where the case waits for its item to change, `person` where a lead put it aside for all."""

    task_id: Id
    external_id: str
    person: str | None
    since: datetime
    until: datetime | None
    note: str | None


class ParkedCases(BaseModel):
    parked: list[Parked]


class Tokens(_In):
    tokens: list[Token] = Field(min_length=1, max_length=100)


class Heartbeat(BaseModel):
    renewed: list[str]
    lost: list[str] = Field(description="Held no longer; claim anew.")


class Released(BaseModel):
    released: int


class _LabelOrReject(_In):
    key: Key
    label: Label | None = None
    reject: bool = Field(False, description="True where no label fits; then without label.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.label is None) != self.reject:
            raise ValueError("give either a label or reject: true")
        return self


class AnswerIn(_LabelOrReject):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"token": "pOx3…", "key": "0b52c9a4-4a6f-4a5e-9d0f-2f5d4a4f7f10", "label": "pay"}]},
    )
    token: Token
    seconds: Seconds | None = None


class CorrectionIn(_LabelOrReject):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"key": "f3a1c7d2-9b0e-4c8f-8a55-0d6a1f4b2c33", "label": "deny", "comment": "see photo 3"}]
        },
    )
    reason: Label | None = None
    comment: Text | None = Field(None, max_length=MAX_COMMENT)


class DecisionIn(_In):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"token": "pOx3…", "key": "5d0f6f0e-3b39-4a8c-b1a6-8f0c7f0e6a55", "verdict": "accept", "seconds": 6.5},
                {"token": "pOx3…", "key": "a5c9d5b2-65ff-4b0e-9d4e-4b8d1c1f2c11", "verdict": "correct", "label": "deny"},
            ]
        },
    )
    token: Token
    key: Key
    verdict: Literal["accept", "correct", "reject", "skip", "escalate"]
    label: Label | None = Field(None, description="With `correct` only.")
    reason: Label | None = None
    comment: Text | None = Field(None, max_length=MAX_COMMENT)
    seconds: Seconds | None = None
    reasons_shown: list[Label] | None = Field(None, max_length=50, description="Hashes of the explanations that were shown.")
    reasons_opened: bool | None = Field(None, description="Whether the person opened them.")


class Decision(_Out):
    id: Id
    task_id: Id
    verdict: str
    label: str | None
    reason: str | None
    stage: Literal["first", "final"]
    decided_at: datetime


class Answered(BaseModel):
    """`claim` is null where a retry comes after the case has left your hands."""

    answer: Decision
    claim: Case | None


class Decided(BaseModel):
    decision: Decision
    claims: list[Case]


class UndoIn(_In):
    session: SessionName | None = Field(None, description="Hold the case in this session; the old one where left out.")


class Undone(BaseModel):
    task_id: Id
    claim: Case | None


# Webhooks


Seq = Annotated[str, Field(pattern=r"^[0-9]{1,18}$", examples=["17"])]


class WebhookIn(_In):
    url: Text = Field(min_length=1, max_length=2000, description="Of https, and at a public address.")
    kinds: list[Text] | None = Field(None, min_length=1, max_length=50, description="Kinds of events; all where left out.")
    after: Seq | None = Field(None, description="Begin after this position of the sequence; at the present where left out.")


class Webhook(_Out):
    id: Id
    url: str = Field(description="As a whole for owners and admins; for others up to its path.")
    kinds: list[str] | None
    position: Id = Field(description="Up to where events were delivered, or are listed under deliveries.")
    waiting: int
    dead: int
    lag_events: int = Field(description="Events after the position, counted to 10,000.")
    lag_seconds: float = Field(description="Age of the oldest event that it has not got; dead ones do not count.")
    delivered_at: datetime | None
    failing_since: datetime | None = Field(description="Since when it takes nothing.")
    last_error: str | None
    made_at: datetime
    ended_at: datetime | None = Field(description="When its receiver ended it, with 410.")


class WebhookMade(Webhook):
    secret: str = Field(description="Signs the events. Shown this once.", examples=["whsec_..."])


class Webhooks(BaseModel):
    webhooks: list[Webhook]


class Delivery(_Out):
    seq: Id
    kind: str
    external_id: str | None
    state: Literal["waiting", "blocked", "dead"]
    attempts: int
    next_at: datetime
    last_error: str | None


class Deliveries(BaseModel):
    deliveries: list[Delivery]


class ResendIn(_In):
    seq: Seq | None = Field(None, description="One dead letter; all where left out.")


class Resent(BaseModel):
    resent: int


# Projects


class Events(BaseModel):
    events: list[Event]
    next: Id = Field(description="The `after` of the next call.")
    more: bool = Field(description="Whether to call again at once.")


class ProjectOut(BaseModel):
    project: str
    title: str
    noun: str
    input_type: str
    features: dict[str, str] = Field(description="Name to type.")
    labels: list[LabelOut]
    frozen_at: datetime | None


class Projects(BaseModel):
    projects: list[ProjectOut]


class Share(_Out):
    """A share with what it is a share of; `value` is null of nothing."""

    part: float
    of: float
    value: float | None


class Backlog(_Out):
    """Counts that are found by looking end at 10,000: there 10,001 stands for more. `waiting` leaves out what is held, parked or
    stuck; `open` is all of it."""

    waiting: int
    waiting_for_leads: int
    held: int
    parked: int
    stuck: int = Field(description="Tasks that nobody present may take.")
    stuck_by: dict[str, int] = Field(description="These by why: second, adjudication, request, seat, skipped, leads.")
    open: int
    oldest: datetime | None
    overdue: int
    soon_due: int
    unscored: int
    unexplained: int
    decided: int


class Band(_Out):
    low: float
    high: float
    routed: int
    alone: int
    labelled: int
    agreed: Share


class LabelFigures(_Out):
    label: str
    predicted: int
    answered: int
    precision: Share
    recall: Share


class Rate(_Out):
    """A share with its 95 % interval; null of nothing."""

    part: int
    of: int
    value: float | None
    low: float | None
    high: float | None


class Kappa(_Out):
    """Cohen's kappa with its 95 % interval, which is null where all agree."""

    value: float
    low: float | None
    high: float | None


class LabelAgreement(_Out):
    label: str | None = Field(description="null: no label fits.")
    both: Rate = Field(description="Of the cases to which either gave the label, those to which both did.")


class Agreement(_Out):
    """Of cases that two people answered without sight of each other's answer."""

    agreed: Rate
    kappa: Kappa | None
    labels: list[LabelAgreement]


class Insight(_Out):
    """What acted is of all traffic; what people said, of the latest `decisions`, which are all there are where `whole`."""

    routed: int
    automation: Share
    decisions: int
    whole: bool
    override: Share
    judged: int = Field(description="First answers to scored cases; `rejected` and the figures by label are of these.")
    rejected: int
    decisions_last_hour: int
    decisions_per_hour: float | None
    seconds_median: float | None
    known_answers: Share
    bands: list[Band]
    labels: list[LabelFigures]
    agreement: Agreement


class Stats(BaseModel):
    project: str
    frozen_at: datetime | None
    backlog: Backlog
    totals: dict[str, int] = Field(description="Items, and standing outcomes by source.")
    insight: Insight


class Frozen(BaseModel):
    project: str
    frozen: bool
    changed: bool = Field(description="False where it was so already.")
    step: Id | None = Field(None, description="What waits for more signatures before a freeze is lifted.")


# Policies


class SimulateIn(_In):
    """Policies as policy.yaml has them, as JSON."""

    policy: dict[str, Any] = Field(examples=[{"autonomy": "set", "automate": {"at_least": 0.9}}])
    against: dict[str, Any] | None = Field(None, description="Another one to hold it against; the rule in force where left out.")
    last: int = Field(LAST, ge=1, le=LONGEST_LOG, description="So many routed cases, the latest, are looked back over.")


class WrongOut(_Out):
    alone: int
    unknown: int = Field(description="Of these, at how many nobody could have looked, or has looked yet.")
    looks: int
    errors: int
    value: float | None = Field(description="The share that would be wrong of those that are not unknown.")
    low: float | None
    high: float | None


class LoadOut(_Out):
    reviews: float
    checks: float
    days: int
    seconds: float | None = Field(description="Of people's time, a case.")
    per_day: float
    hours_per_day: float | None
    hours: list[float] = Field(description="Of a day's cases for people, how many come in each hour of the day.")
    busiest: float


class CostOut(_Out):
    errors: float | None
    reviews: float
    total: float | None


class PartOut(_Out):
    name: str
    n: int
    share: float
    wrong: WrongOut


class OutcomeOut(_Out):
    called: str
    n: int
    share: float
    wrong: WrongOut
    load: LoadOut
    cost: CostOut
    segments: list[PartOut]
    labels: list[PartOut]
    groups: list[PartOut]


class Simulated(_Out):
    """What happened, the rule in force or the other policy, and the candidate, in this order."""

    read: int
    whole: bool = Field(description="Whether these are all routed cases there are.")
    left_out: dict[str, int]
    version: int = Field(description="Of the model whose log it is.")
    n: int
    since: datetime | None
    until: datetime | None
    days: int
    outcomes: list[OutcomeOut]
    moved: dict[str, int]
    notes: list[str]


# Jobs and datasets


class JobArgs(_In):
    """What a job may be told; each kind takes its own."""

    format: Literal["parquet", "jsonl", "csv"] | None = Field(None, description="Of an export; parquet where left out.")
    with_reasons: bool | None = Field(None, description="Of an export: also the explanations that were on screens.")
    trainer: Trainer | None = Field(None, description="Of a training; that of the project where left out.")
    weights: Weighing | None = Field(
        None, description="Of a training: full weighs each row by one over the chance of a look at it, sqrt by the root of that."
    )
    challenger: int | None = Field(
        None, ge=1, lt=2**31, description="Of a comparison or the gate: the model version against the champion."
    )


_ARGS = {
    "export": {"format", "with_reasons"},
    "train": {"trainer", "weights"},
    "compare": {"challenger"},
    "retrain": {"trainer", "weights"},
    "gate": {"challenger"},
}


class JobIn(_In):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"project": "claims", "kind": "compare", "args": {"challenger": 3}}]}
    )
    project: Text
    kind: Literal["export", "train", "compare", "retrain", "gate"]
    args: JobArgs = JobArgs()

    @model_validator(mode="after")
    def _args_fit(self) -> "JobIn":
        given = set(self.args.model_dump(exclude_none=True))
        if given - _ARGS[self.kind]:
            raise ValueError(f"{self.kind} takes no {sorted(given - _ARGS[self.kind])[0]}")
        if "challenger" in _ARGS[self.kind] and not given:
            raise ValueError(f"{self.kind} needs args.challenger, the version of the model that wants to act")
        return self


class JobOut(_Out):
    id: Id
    project: str
    kind: str
    args: dict[str, Any]
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: float
    step: str | None
    result: dict[str, Any] | None
    error: str | None
    asked_at: datetime
    ended_at: datetime | None


class Jobs(BaseModel):
    jobs: list[JobOut]


class DatasetIn(_In):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"format": "parquet"}]})
    format: Literal["parquet", "jsonl", "csv", "huggingface", "image-folder", "label-studio"] = "parquet"
    with_reasons: bool = Field(False, description="Also the explanations that were on the screen at each decision.")


class DatasetFile(BaseModel):
    name: str
    sha256: str
    size: int
    url: str = Field(description="Relative to this API.")


class Dataset(BaseModel):
    id: Id
    project: str
    kind: str
    rows: int
    watermark: Id | None
    content_hash: str
    files: list[DatasetFile]
    manifest: dict[str, Any]
    made_at: datetime
    replaced_by: Id | None = Field(None, description="The version that has all of it but what was erased; the files are gone.")


class Datasets(BaseModel):
    datasets: list[Dataset]
    next: Id | None = Field(None, description="The `before` of the next page; null where this is the last.")


class Health(BaseModel):
    status: Literal["alive", "ready"]
