"""Every table. Ids are 64-bit; enums are text by value; times are UTC. What changes often is small and apart."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    false,
    func,
    text,
    true,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db.types import Id, Json, UtcTime

HOT = {"fillfactor": 80, "autovacuum_vacuum_scale_factor": 0.01, "autovacuum_analyze_scale_factor": 0.01}
"""Storage of tables whose rows change often (PostgreSQL)."""


class Table(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        }
    )
    type_annotation_map = {datetime: UtcTime, int: Id, str: Text, float: Float, bool: Boolean, bytes: LargeBinary}  # noqa: RUF012


def _where(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """A partial index, the same on both databases."""
    condition = text(where)
    return Index(name, *columns, unique=unique, postgresql_where=condition, sqlite_where=condition)


def _key(target: str) -> Mapped[int]:
    return mapped_column(Id, ForeignKey(target))


# People and keys


class Person(Table):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str] = mapped_column(default="person")  # person, service
    role: Mapped[str]  # viewer, reviewer, lead, owner, admin
    password_hash: Mapped[str | None]
    made_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
    everywhere: Mapped[bool] = mapped_column(default=True, server_default=true())  # sees every project; else those of `member`
    email: Mapped[str | None]
    issuer: Mapped[str | None]  # who vouches for them: the OIDC provider, with the subject it knows them by
    subject: Mapped[str | None]
    settings: Mapped[dict[str, Any] | None] = mapped_column(Json)  # what they chose at the desk: keys, zone, deck or page
    __table_args__ = (
        _where("person_subject", "issuer", "subject", where="subject IS NOT NULL", unique=True),
        _where("person_email", "email", where="email IS NOT NULL", unique=True),
    )


class Member(Table):
    """A project that a person may see, with another role there than elsewhere where one is named."""

    __tablename__ = "member"
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True, autoincrement=False)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True, autoincrement=False)
    role: Mapped[str | None]
    made_at: Mapped[datetime]
    made_by: Mapped[int | None] = _key("person.id")


class ApiKey(Table):
    __tablename__ = "api_key"
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = _key("person.id")
    hash: Mapped[str] = mapped_column(unique=True)
    hint: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(Json)
    made_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class SecretKey(Table):
    """Which secrets were ever in use, by fingerprint; the secrets themselves are never here."""

    __tablename__ = "secret_key"
    id: Mapped[int] = mapped_column(primary_key=True)
    purpose: Mapped[str]  # draw, webhook
    fingerprint: Mapped[str]
    active_from: Mapped[datetime]
    __table_args__ = (UniqueConstraint("purpose", "fingerprint"),)


# Projects, policies, models


class Project(Table):
    __tablename__ = "project"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    made_at: Mapped[datetime]


class ProjectVersion(Table):
    __tablename__ = "project_version"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    content_hash: Mapped[str]
    body: Mapped[dict[str, Any]] = mapped_column(Json)  # project, guidelines
    applied_at: Mapped[datetime]
    applied_by: Mapped[int | None] = _key("person.id")
    __table_args__ = (UniqueConstraint("project_id", "content_hash"),)


class PolicyVersion(Table):
    __tablename__ = "policy_version"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    content_hash: Mapped[str]
    body: Mapped[dict[str, Any]] = mapped_column(Json)
    applied_at: Mapped[datetime]
    applied_by: Mapped[int | None] = _key("person.id")
    __table_args__ = (UniqueConstraint("project_id", "content_hash"),)


class Model(Table):
    __tablename__ = "model"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    version: Mapped[int]
    name: Mapped[str | None]  # what the producer calls it, of a model that answers elsewhere
    trainer: Mapped[str]
    sha256: Mapped[str] = mapped_column(ForeignKey("blob.sha256"))
    labels: Mapped[list[str]] = mapped_column(Json)
    schema_hash: Mapped[str]
    datasets: Mapped[list[str]] = mapped_column(Json)  # ids of the datasets it learned from, oldest first
    learned_through: Mapped[int | None]  # it learned from no item with a higher id
    figures: Mapped[dict[str, Any]] = mapped_column(Json)
    made_at: Mapped[datetime]
    made_by: Mapped[int | None] = _key("person.id")
    __table_args__ = (
        UniqueConstraint("project_id", "version"),
        _where("model_name", "project_id", "name", where="name IS NOT NULL", unique=True),
    )


class ModelSpread(Table):
    """How the values that a model learned from are spread, by feature: what a case's value is held against at the desk."""

    __tablename__ = "model_spread"
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"), primary_key=True, autoincrement=False)
    body: Mapped[dict[str, Any]] = mapped_column(Json)
    made_at: Mapped[datetime]


class ModelAlias(Table):
    __tablename__ = "model_alias"
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True)
    alias: Mapped[str] = mapped_column(primary_key=True)  # champion, challenger, previous
    model_id: Mapped[int] = _key("model.id")
    since: Mapped[datetime]
    set_by: Mapped[int | None] = _key("person.id")


class Proposal(Table):
    """Somebody wants another model to act; it does once enough people have signed."""

    __tablename__ = "proposal"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    kind: Mapped[str]  # promote, rollback
    model_id: Mapped[int] = _key("model.id")
    against_id: Mapped[int | None] = _key("model.id")
    comparison: Mapped[dict[str, Any] | None] = mapped_column(Json)
    gate_id: Mapped[int | None]  # the look at the gate that showed that it may
    why: Mapped[str | None]  # why it is to act although the gate does not let it
    signers: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(default="open")  # open, applied, withdrawn
    made_by: Mapped[int | None] = _key("person.id")
    made_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]


class Signature(Table):
    __tablename__ = "signature"
    proposal_id: Mapped[int] = mapped_column(ForeignKey("proposal.id"), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    signed_at: Mapped[datetime]


class Gate(Table):
    """What held a challenger against the model that acts, on the same cases: whether it may be offered, and by which figures."""

    __tablename__ = "gate"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    model_id: Mapped[int] = _key("model.id")
    against_id: Mapped[int] = _key("model.id")
    watermark: Mapped[int]  # items before it were counted
    passed: Mapped[bool]
    figures: Mapped[dict[str, Any]] = mapped_column(Json)
    code_version: Mapped[str]
    made_at: Mapped[datetime]
    made_by: Mapped[int | None] = _key("person.id")
    __table_args__ = (Index("gate_model", "model_id", "id"), Index("gate_project", "project_id", "id"))


class Challenge(Table):
    """A model that predicts beside the one that acts, without acting: one that wants to, or the one that did before."""

    __tablename__ = "challenge"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    model_id: Mapped[int] = _key("model.id")
    against_id: Mapped[int] = _key("model.id")
    kind: Mapped[str]  # challenger, former
    share: Mapped[float]  # of the cases on which the two differ that people look at
    begun_at: Mapped[datetime]
    begun_by: Mapped[int | None] = _key("person.id")
    until: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_as: Mapped[str | None]  # promoted, replaced, withdrawn, over
    __table_args__ = (_where("challenge_standing", "project_id", "kind", where="ended_at IS NULL", unique=True),)


class Shadow(Table):
    """A case that a challenge was asked about. `p`: the chance with which a person was to look because the two differ."""

    __tablename__ = "shadow"
    challenge_id: Mapped[int] = mapped_column(ForeignKey("challenge.id"), primary_key=True, autoincrement=False)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True, autoincrement=False)
    n: Mapped[int] = mapped_column(Integer)  # the routing that it stands beside
    agrees: Mapped[bool]
    p: Mapped[float]
    scored_at: Mapped[datetime]
    __table_args__ = (Index("shadow_item", "item_id"),)


class TrainingRun(Table):
    """One training from its beginning to its model; named by what makes it, so that one that was cut off goes on where it was."""

    __tablename__ = "training_run"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    key: Mapped[str]  # hash of datasets, arguments, code and seed
    state: Mapped[str]  # running, done, failed
    spec: Mapped[dict[str, Any]] = mapped_column(Json)
    curves: Mapped[dict[str, Any] | None] = mapped_column(Json)
    checkpoint: Mapped[bytes | None]  # where it was; None before the first and after the end
    epoch: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    model_id: Mapped[int | None] = _key("model.id")
    error: Mapped[str | None]
    tracked: Mapped[str | None]  # the run in MLflow
    begun_at: Mapped[datetime]
    begun_by: Mapped[int | None] = _key("person.id")
    seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    __table_args__ = (
        _where("training_run_running", "project_id", "key", where="state = 'running'", unique=True),
        Index("training_run_project", "project_id", "id"),
        Index("training_run_model", "model_id"),
    )


class EvidencePeriod(Table):
    """A span in which model, calibrator, score and grid are frozen; evidence never crosses it."""

    __tablename__ = "evidence_period"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    model_id: Mapped[int] = _key("model.id")
    score: Mapped[str]
    grid: Mapped[list[float]] = mapped_column(Json)  # ascending thresholds
    terms: Mapped[dict[str, Any] | None] = mapped_column(Json)  # what of the policy is frozen with it: see review_queue/terms.py
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    cause: Mapped[str]


class RoutingRule(Table):
    """What is in force: any change of one of these columns is a new row, and every route names its row."""

    __tablename__ = "routing_rule"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    period_id: Mapped[int] = _key("evidence_period.id")
    policy_version_id: Mapped[int] = _key("policy_version.id")
    level: Mapped[str]  # set, frozen, shadow, assist, audited, floor
    thresholds: Mapped[dict[str, Any]] = mapped_column(Json)  # label -> number or never
    units: Mapped[dict[str, Any] | None] = mapped_column(Json)  # what is earned: unit -> level, threshold, rate; None under `set`
    audit_rate: Mapped[float]
    pi_min: Mapped[float]
    vetoes: Mapped[list[str]] = mapped_column(Json)
    strange: Mapped[float | None]  # share of ordinary cases that may be called strange, and so never act alone
    draw_key_id: Mapped[int] = _key("secret_key.id")
    made_at: Mapped[datetime]
    cause: Mapped[str]


class ProjectControl(Table):
    """One row a project, read FOR SHARE by every route write, so that a freeze holds for the batch in flight."""

    __tablename__ = "project_control"
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True)
    project_version_id: Mapped[int] = _key("project_version.id")
    policy_version_id: Mapped[int] = _key("policy_version.id")
    routing_rule_id: Mapped[int | None] = _key("routing_rule.id")
    frozen_at: Mapped[datetime | None]
    permit: Mapped[dict[str, Any] | None] = mapped_column(Json)  # what was signed for: see review_queue/permits.py
    raised_rate: Mapped[float | None]  # the audit rate while a notice of drift is open


# Autonomy


class AutonomyEvent(Table):
    """One step of a ladder, up or down, with all that it rests on; a rise acts once enough people have signed."""

    __tablename__ = "autonomy_event"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    period_id: Mapped[int | None] = _key("evidence_period.id")
    policy_version_id: Mapped[int] = _key("policy_version.id")
    unit: Mapped[str]  # whose evidence: "", or a segment, a label, or both
    kind: Mapped[str]  # rise, fall
    from_level: Mapped[str]
    to_level: Mapped[str]
    cause: Mapped[str]  # in words
    asked: Mapped[dict[str, Any]] = mapped_column(Json)  # what the permit becomes: terms, or the standing of the unit
    counts: Mapped[dict[str, Any]] = mapped_column(Json)
    log_e: Mapped[float | None]
    alpha: Mapped[float | None]
    delta: Mapped[float | None]
    code_version: Mapped[str]
    signers: Mapped[int] = mapped_column(Integer)
    state: Mapped[str]  # open, applied, withdrawn
    made_by: Mapped[int | None] = _key("person.id")
    made_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    routing_rule_id: Mapped[int | None] = _key("routing_rule.id")  # the rule that it made
    __table_args__ = (
        Index("autonomy_event_project", "project_id", "id"),
        _where("autonomy_event_open", "project_id", "unit", where="state = 'open'", unique=True),
    )


class AutonomySignature(Table):
    __tablename__ = "autonomy_signature"
    event_id: Mapped[int] = mapped_column(ForeignKey("autonomy_event.id"), primary_key=True, autoincrement=False)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True, autoincrement=False)
    via: Mapped[str]
    signed_at: Mapped[datetime]


class Certificate(Table):
    """A threshold whose evidence crossed the line once, in the fixed order: from then on it is certified in its period."""

    __tablename__ = "certificate"
    period_id: Mapped[int] = mapped_column(ForeignKey("evidence_period.id"), primary_key=True, autoincrement=False)
    unit: Mapped[str] = mapped_column(primary_key=True)
    band: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    threshold: Mapped[float]
    watermark: Mapped[int]  # items before it were counted
    counts: Mapped[dict[str, Any]] = mapped_column(Json)
    log_e: Mapped[float]
    alpha: Mapped[float]
    delta: Mapped[float]
    code_version: Mapped[str]
    made_at: Mapped[datetime]


class Replayed(Table):
    """Cases of earlier periods that count for a new model: it did not learn from them, and each had its chance of a look."""

    __tablename__ = "replayed"
    period_id: Mapped[int] = mapped_column(ForeignKey("evidence_period.id"), primary_key=True, autoincrement=False)
    routing_rule_id: Mapped[int] = mapped_column(ForeignKey("routing_rule.id"), primary_key=True, autoincrement=False)
    unit: Mapped[str] = mapped_column(primary_key=True)
    band: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    p: Mapped[float] = mapped_column(primary_key=True)
    p_min: Mapped[float]  # the least chance of a look under that rule
    n: Mapped[int] = mapped_column(Integer)
    drawn: Mapped[int] = mapped_column(Integer)
    errors: Mapped[int] = mapped_column(Integer)


class EvidenceLook(Table):
    """How far a project's evidence was looked at: the last resolved draw that the look saw."""

    __tablename__ = "evidence_look"
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True, autoincrement=False)
    seen_at: Mapped[datetime]  # of the newest resolution it saw
    looked_at: Mapped[datetime]
    __table_args__ = ({"postgresql_with": HOT},)


class Notice(Table):
    """Something that the owners of a project should know of, on every page until one of them closes it."""

    __tablename__ = "notice"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    kind: Mapped[str]  # drift, alarm, stale, overdue
    subject: Mapped[str]  # a unit, a feature
    body: Mapped[dict[str, Any]] = mapped_column(Json)  # `said`: one sentence; and its figures
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[int | None] = _key("person.id")
    __table_args__ = (
        _where("notice_open", "project_id", "kind", "subject", where="closed_at IS NULL", unique=True),
        Index("notice_project", "project_id", "id"),
    )


class DriftCheck(Table):
    """Inputs and scores of a window of items held against those that the model learned from."""

    __tablename__ = "drift_check"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    model_id: Mapped[int] = _key("model.id")
    first_item_id: Mapped[int]
    last_item_id: Mapped[int]
    n: Mapped[int] = mapped_column(Integer)
    figures: Mapped[dict[str, Any]] = mapped_column(Json)
    alarmed: Mapped[bool]
    made_at: Mapped[datetime]
    __table_args__ = (Index("drift_check_model", "model_id", "id"), Index("drift_check_project", "project_id", "id"))


# Items and what was said of them


class Blob(Table):
    __tablename__ = "blob"
    sha256: Mapped[str] = mapped_column(primary_key=True)
    media_type: Mapped[str]
    size: Mapped[int]
    bytes: Mapped[bytes | None]
    uri: Mapped[str | None]
    made_at: Mapped[datetime]


class ItemKey(Table):
    """The only uniqueness that spans time, in a narrow table of its own.

    A replaced item gives its place up: `external_id` gets a mark that no producer can send, `shown_id` keeps what it was.
    """

    __tablename__ = "item_key"
    item_id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    external_id: Mapped[str]
    content_hash: Mapped[str]
    revision: Mapped[int] = mapped_column(Integer, default=1, server_default="1")  # how often the producer sent other content
    shown_id: Mapped[str | None]  # of a replaced item: the id that people know it by
    closed_at: Mapped[datetime | None]  # when the producer replaced or cancelled it
    __table_args__ = (UniqueConstraint("project_id", "external_id"),)

    @hybrid_property
    def name(self) -> str:
        """The producer's id, of replaced items too."""
        return self.shown_id or self.external_id

    @name.inplace.expression
    @classmethod
    def _name(cls) -> ColumnElement[str]:
        return func.coalesce(cls.shown_id, cls.external_id)


class Item(Table):
    """Insert-only. Input, shown fields, groups and a prediction that came along are canonical JSON text (RFC 8785)."""

    __tablename__ = "item"
    id: Mapped[int] = mapped_column(ForeignKey("item_key.item_id"), primary_key=True, autoincrement=False)
    project_id: Mapped[int] = _key("project.id")
    project_version_id: Mapped[int] = _key("project_version.id")
    input: Mapped[str | None]
    show: Mapped[str | None]
    groups: Mapped[str | None]
    prediction: Mapped[str | None]
    subject_hash: Mapped[str | None]
    received_at: Mapped[datetime]
    __table_args__ = (_where("item_subject", "project_id", "subject_hash", where="subject_hash IS NOT NULL"),)


class Truth(Table):
    """What later proved true of an item, append-only: the latest stands. `label` None: no label fits."""

    __tablename__ = "truth"
    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = _key("item.id")
    project_id: Mapped[int] = _key("project.id")
    label: Mapped[str | None]
    source: Mapped[str | None]  # chargeback, biopsy: what it was seen by
    known_at: Mapped[datetime]  # when it turned out
    made_at: Mapped[datetime]
    made_by: Mapped[int | None] = _key("person.id")
    __table_args__ = (Index("truth_item", "item_id", "id"), Index("truth_project", "project_id", "made_at"))


class Erased(Table):
    """An item whose content is gone for good; what was decided of it stays."""

    __tablename__ = "erased"
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True, autoincrement=False)
    project_id: Mapped[int] = _key("project.id")
    why: Mapped[str | None]
    erased_at: Mapped[datetime]
    erased_by: Mapped[int | None] = _key("person.id")
    __table_args__ = (Index("erased_project", "project_id", "erased_at"),)


class Work(Table):
    """What a worker has to do. A lease moves `ready_at` into the future, so expiry needs no sweep."""

    __tablename__ = "work"
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)  # score, explain, shadow
    project_id: Mapped[int] = _key("project.id")
    ready_at: Mapped[datetime]
    worker: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    last_error: Mapped[str | None]
    __table_args__ = (
        Index("work_ready", "project_id", "kind", "ready_at", "item_id"),
        {"postgresql_with": HOT},
    )


class Prediction(Table):
    __tablename__ = "prediction"
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True, autoincrement=False)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"), primary_key=True, autoincrement=False)
    label: Mapped[str]
    confidence: Mapped[float]
    probabilities: Mapped[list[float]] = mapped_column(Json)  # in the model's order of labels
    strangeness: Mapped[float | None]  # share of the ordinary cases that are as far from what the model learned from
    scored_at: Mapped[datetime]


class Routing(Table):
    __tablename__ = "routing"
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True, autoincrement=False)
    n: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    project_id: Mapped[int] = _key("project.id")
    period_id: Mapped[int] = _key("evidence_period.id")
    routing_rule_id: Mapped[int] = _key("routing_rule.id")
    model_id: Mapped[int] = _key("model.id")
    route: Mapped[str]  # auto, review, failed
    reason: Mapped[str]
    segment: Mapped[str] = mapped_column(default="")
    band: Mapped[int] = mapped_column(Integer)  # how many thresholds of the grid the confidence reaches
    p_evidence: Mapped[float]
    p_second: Mapped[float]
    pi: Mapped[float]
    label: Mapped[str | None]
    confidence: Mapped[float | None]
    routed_at: Mapped[datetime]
    __table_args__ = (
        Index("routing_project", "project_id", "item_id"),
        Index(
            "routing_evidence",
            "period_id",
            "routing_rule_id",
            "segment",
            "band",
            "p_evidence",
            postgresql_include=["item_id"],
            postgresql_where=text("band > 0"),
            sqlite_where=text("band > 0"),
        ),
    )


class Draw(Table):
    """A secret random choice that hit. Its p is fixed at routing; it is resolved once, with its loss."""

    __tablename__ = "draw"
    item_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    n: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    purpose: Mapped[str] = mapped_column(String(16), primary_key=True)  # evidence, second, shadow
    project_id: Mapped[int] = _key("project.id")
    period_id: Mapped[int] = _key("evidence_period.id")
    routing_rule_id: Mapped[int] = _key("routing_rule.id")
    segment: Mapped[str] = mapped_column(default="")
    band: Mapped[int] = mapped_column(Integer)
    p: Mapped[float]
    key_id: Mapped[int] = _key("secret_key.id")
    drawn_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    resolved_as: Mapped[str | None]  # blind, adjudicated, overdue
    loss: Mapped[int | None] = mapped_column(Integer)
    __table_args__ = (
        _where("draw_open", "period_id", "item_id", where="purpose = 'evidence' AND resolved_at IS NULL"),
        _where("draw_due", "due_at", where="resolved_at IS NULL"),
        _where("draw_audit", "period_id", "segment", "drawn_at", where="purpose = 'evidence' AND p < 1"),
        _where("draw_resolved", "project_id", "resolved_at", where="purpose = 'evidence' AND resolved_at IS NOT NULL"),
        _where(
            "draw_evidence",
            "period_id",
            "routing_rule_id",
            "segment",
            "band",
            "p",
            "loss",
            where="purpose = 'evidence' AND loss IS NOT NULL",
        ),
    )


# People's work


class Task(Table):
    """One seat: work for one person on one item."""

    __tablename__ = "task"
    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = _key("item.id")
    routing_n: Mapped[int] = mapped_column(Integer)
    project_id: Mapped[int] = _key("project.id")
    kind: Mapped[str]  # review, audit, second, adjudication, gold
    seat: Mapped[int] = mapped_column(Integer, default=1)
    shared: Mapped[bool] = mapped_column(default=False, server_default=false())  # whether the rule made other seats beside it
    audience: Mapped[str] = mapped_column(default="reviewers")  # reviewers, leads
    assignee_id: Mapped[int | None] = _key("person.id")
    assigned_until: Mapped[datetime | None]  # from then on anybody may take it
    parked_at: Mapped[datetime | None]  # when it was parked; kept where it was cancelled in that state
    parked_until: Mapped[datetime | None]  # None while parked: until the item changes
    parked_note: Mapped[str | None]  # what whoever parked it wanted to remember
    parked_claim_id: Mapped[int | None]  # the hold that ended so, which taking it back takes up again
    requested: Mapped[str | None]  # why somebody asked for a look; None where the rule made the task
    blind: Mapped[bool]
    state: Mapped[str] = mapped_column(default="pending")  # pending, in_progress, parked, completed, cancelled
    rank: Mapped[int]  # virtual deadline in microseconds, fixed when made
    weight: Mapped[float]  # w of the rank, 0.1 to 1: what an audit takes over to be alike
    due_at: Mapped[datetime | None]
    skips: Mapped[int] = mapped_column(Integer, default=0)
    made_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("item_id", "routing_n", "kind", "seat"),
        _where("task_next", "project_id", "audience", "rank", "id", where="state = 'pending'"),
        _where("task_held", "project_id", where="state = 'in_progress'"),
        _where("task_open", "project_id", "made_at", "id", where="state IN ('pending', 'in_progress', 'parked')"),
        _where("task_due", "project_id", "due_at", where="state IN ('pending', 'in_progress') AND due_at IS NOT NULL"),
        _where("task_late", "project_id", "due_at", where="state = 'pending' AND audience = 'reviewers' AND due_at IS NOT NULL"),
        _where("task_parked", "project_id", "parked_until", where="state = 'parked'"),
        _where("task_assigned", "project_id", "assignee_id", where="state = 'pending' AND assignee_id IS NOT NULL"),
        _where("task_gold", "project_id", "made_at", where="kind = 'gold' AND state IN ('pending', 'parked')"),
        _where(
            "task_contested",
            "project_id",
            "made_at",
            "id",
            where="state = 'pending' AND (shared OR kind IN ('second', 'adjudication') OR skips > 0 OR requested IS NOT NULL)",
        ),
        {"postgresql_with": HOT},
    )


class Claim(Table):
    """One person's hold on one task: a lease with a token. Kept for ever."""

    __tablename__ = "claim"
    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = _key("task.id")
    item_id: Mapped[int] = _key("item.id")
    person_id: Mapped[int] = _key("person.id")
    session: Mapped[str]
    token: Mapped[str] = mapped_column(unique=True)
    state: Mapped[str]  # held, answered, skipped, escalated, released, expired
    taken_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    __table_args__ = (
        _where("claim_task_held", "task_id", where="state = 'held'", unique=True),
        _where("claim_item_person", "item_id", "person_id", where="state IN ('held', 'answered', 'skipped')", unique=True),
        _where("claim_let_go", "item_id", "person_id", where="state IN ('escalated', 'released', 'expired')"),
        _where("claim_expiry", "expires_at", where="state = 'held'"),
        _where("claim_person", "person_id", "session", where="state = 'held'"),
        {"postgresql_with": HOT},
    )


class Decision(Table):
    """What a person said. Append-only; a change of mind is a new row that supersedes the old."""

    __tablename__ = "decision"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    request_hash: Mapped[str]
    project_id: Mapped[int] = _key("project.id")
    task_id: Mapped[int] = _key("task.id")
    item_id: Mapped[int] = _key("item.id")
    claim_id: Mapped[int] = _key("claim.id")
    person_id: Mapped[int] = _key("person.id")
    recorded_by: Mapped[int | None] = _key("person.id")  # whose key spoke for the person
    stage: Mapped[str]  # first, final
    verdict: Mapped[str]  # accept, correct, reject, skip, escalate
    label: Mapped[str | None]
    reason: Mapped[str | None]
    comment: Mapped[str | None]
    seconds: Mapped[float | None]
    blind: Mapped[bool]
    basis: Mapped[str]  # routed, drawn, requested, gold, bulk, shadow
    reasons_shown: Mapped[list[str] | None] = mapped_column(Json)
    reasons_opened: Mapped[bool | None]
    supersedes_id: Mapped[int | None] = mapped_column(Id, ForeignKey("decision.id"), unique=True)
    via: Mapped[str]
    decided_at: Mapped[datetime]
    __table_args__ = (
        Index("decision_item", "item_id"),
        Index("decision_task", "task_id"),
        Index("decision_project", "project_id", "decided_at"),
        Index("decision_person", "person_id", "decided_at"),
        _where("decision_gold", "project_id", "decided_at", where="basis = 'gold'"),
    )


class Bulk(Table):
    """One act over many tasks: what was filtered, what was said of all of them, and whether it was taken back."""

    __tablename__ = "bulk"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    project_id: Mapped[int] = _key("project.id")
    person_id: Mapped[int] = _key("person.id")
    filter: Mapped[dict[str, Any]] = mapped_column(Json)
    verdict: Mapped[str]  # accept, correct, reject
    label: Mapped[str | None]
    reason: Mapped[str | None]
    asked: Mapped[int] = mapped_column(Integer)  # how many the preview counted
    done: Mapped[int] = mapped_column(Integer, default=0)
    made_at: Mapped[datetime]
    undone_at: Mapped[datetime | None]
    __table_args__ = (Index("bulk_project", "project_id", "id"),)


class BulkDecision(Table):
    """Which decisions a bulk act made."""

    __tablename__ = "bulk_decision"
    decision_id: Mapped[int] = mapped_column(ForeignKey("decision.id"), primary_key=True, autoincrement=False)
    bulk_id: Mapped[int] = _key("bulk.id")
    __table_args__ = (Index("bulk_decision_bulk", "bulk_id", "decision_id"),)


class Flag(Table):
    """Somebody wants a case to be looked at again, whatever its answer; a lead puts the flag down."""

    __tablename__ = "flag"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    item_id: Mapped[int] = _key("item.id")
    person_id: Mapped[int] = _key("person.id")
    note: Mapped[str | None]
    made_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[int | None] = _key("person.id")
    __table_args__ = (
        _where("flag_item_person", "item_id", "person_id", where="ended_at IS NULL", unique=True),
        _where("flag_open", "project_id", "made_at", where="ended_at IS NULL"),
    )


class SavedFilter(Table):
    """A filter of the page Queue under a name, for its maker or, shared, for all who see the project."""

    __tablename__ = "saved_filter"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    person_id: Mapped[int] = _key("person.id")
    name: Mapped[str]
    query: Mapped[str]  # as it stands in the address
    shared: Mapped[bool] = mapped_column(default=False, server_default=false())
    made_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("project_id", "person_id", "name"),)


class Gold(Table):
    """An item whose answer is known, by which it is measured who sees errors. `label` None: no label fits."""

    __tablename__ = "gold"
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True, autoincrement=False)
    project_id: Mapped[int] = _key("project.id")
    label: Mapped[str | None]
    source: Mapped[str]  # adjudicated, named
    made_at: Mapped[datetime]
    made_by: Mapped[int | None] = _key("person.id")
    ended_at: Mapped[datetime | None]
    __table_args__ = (_where("gold_open", "project_id", "item_id", where="ended_at IS NULL"),)


class GoldTurn(Table):
    """How far the claims of a project were looked at for mixing gold into people's work: the last one that was counted."""

    __tablename__ = "gold_turn"
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True, autoincrement=False)
    claim_id: Mapped[int]


class Outcome(Table):
    """The answer that stands for an item: its highest revision."""

    __tablename__ = "outcome"
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    project_id: Mapped[int] = _key("project.id")
    label: Mapped[str | None]
    source: Mapped[str]  # auto, human, adjudicated
    verdict: Mapped[str | None]
    routing_n: Mapped[int] = mapped_column(Integer)
    decision_id: Mapped[int | None] = _key("decision.id")
    decided_at: Mapped[datetime]
    __table_args__ = (Index("outcome_project", "project_id", "decided_at"),)


class Explanation(Table):
    __tablename__ = "explanation"
    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = _key("item.id")
    model_id: Mapped[int] = _key("model.id")
    method: Mapped[str]
    label: Mapped[str]
    params_hash: Mapped[str]
    hash: Mapped[str]
    body: Mapped[dict[str, Any]] = mapped_column(Json)
    seconds: Mapped[float]
    made_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("item_id", "model_id", "method", "label", "params_hash"),)


class ReasonRequest(Table):
    """Another explanation that somebody asked for: another method, label or more samples."""

    __tablename__ = "reason_request"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    item_id: Mapped[int] = _key("item.id")
    model_id: Mapped[int] = _key("model.id")
    method: Mapped[str]
    label: Mapped[str]
    params: Mapped[dict[str, Any]] = mapped_column(Json)
    params_hash: Mapped[str]
    person_id: Mapped[int | None] = _key("person.id")
    asked_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    explanation_id: Mapped[int | None] = _key("explanation.id")
    problem: Mapped[str | None]
    __table_args__ = (UniqueConstraint("item_id", "model_id", "method", "label", "params_hash"),)


class ReasonQuality(Table):
    """How good a model version's explanations were so far, by method: sums, kept as they are made."""

    __tablename__ = "reason_quality"
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"), primary_key=True, autoincrement=False)
    method: Mapped[str] = mapped_column(primary_key=True)
    made: Mapped[int]
    failed: Mapped[int]
    doubted: Mapped[int]
    fits: Mapped[int]
    fit: Mapped[float]
    most_gap: Mapped[float]
    seconds: Mapped[float]
    __table_args__ = ({"postgresql_with": HOT},)


class ReasonCheck(Table):
    """An explanation that was made again with other seeds, and whose order was tried by hiding: a sample for each version."""

    __tablename__ = "reason_check"
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True, autoincrement=False)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"), primary_key=True, autoincrement=False)
    method: Mapped[str] = mapped_column(primary_key=True)
    label: Mapped[str]
    stability: Mapped[float]
    area: Mapped[float]
    random_area: Mapped[float]
    apart: Mapped[float | None]
    made_at: Mapped[datetime]
    __table_args__ = (Index("reason_check_model", "model_id", "method"),)


class Embedding(Table):
    """An item as a model sees it: a vector of 32-bit floats, little-endian, of length one. Near vectors are similar cases."""

    __tablename__ = "embedding"
    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = _key("item.id")
    model_id: Mapped[int] = _key("model.id")
    space: Mapped[str]
    vector: Mapped[bytes]
    __table_args__ = (UniqueConstraint("item_id", "model_id"), Index("embedding_model", "model_id", "id"))


# What leaves the house


class Outbox(Table):
    """What a transaction announces, not yet in order. `ready_at` holds a person's outcome back for the undo window."""

    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    kind: Mapped[str]
    item_id: Mapped[int | None] = _key("item.id")
    body: Mapped[dict[str, Any]] = mapped_column(Json)
    made_at: Mapped[datetime]
    ready_at: Mapped[datetime]
    __table_args__ = (
        Index("outbox_item", "item_id", "id"),
        Index("outbox_ready", "ready_at", "id"),
        {"postgresql_with": HOT},
    )


class Event(Table):
    """Never changed; `seq` has no gaps."""

    __tablename__ = "event"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[int] = _key("project.id")
    kind: Mapped[str]
    item_id: Mapped[int | None] = _key("item.id")
    body: Mapped[dict[str, Any]] = mapped_column(Json)
    made_at: Mapped[datetime]
    __table_args__ = (Index("event_feed", "project_id", "seq"), Index("event_item", "item_id"))


class EventHead(Table):
    __tablename__ = "event_head"
    one: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    seq: Mapped[int]
    __table_args__ = ({"postgresql_with": HOT},)


class Webhook(Table):
    """Where a project's events are posted, and how far that is. Its secret is derived, never stored.

    A lease moves `ready_at` into the future, as does a pause after failures.
    """

    __tablename__ = "webhook"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    url: Mapped[str]
    kinds: Mapped[list[str] | None] = mapped_column(Json)  # None: all
    key_id: Mapped[int] = _key("secret_key.id")
    position: Mapped[int]  # the last seq that was delivered or is in `delivery`
    ready_at: Mapped[datetime]
    worker: Mapped[str | None]
    failures: Mapped[int] = mapped_column(Integer, default=0)  # turns in a row in which nothing was taken
    failing_since: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    made_at: Mapped[datetime]
    made_by: Mapped[int | None] = _key("person.id")
    ended_at: Mapped[datetime | None]
    ended_as: Mapped[str | None]  # removed, gone
    __table_args__ = (_where("webhook_active", "project_id", where="ended_at IS NULL"), {"postgresql_with": HOT})


class Delivery(Table):
    """An event that a webhook did not take at once. What went well leaves no row.

    `blocked`: an earlier one of the same item is here too, and goes first.
    """

    __tablename__ = "delivery"
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id"), primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(ForeignKey("event.seq"), primary_key=True, autoincrement=False)
    item_id: Mapped[int | None] = _key("item.id")
    state: Mapped[str]  # waiting, blocked, dead
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    next_at: Mapped[datetime]
    last_error: Mapped[str | None]
    __table_args__ = (
        _where("delivery_due", "webhook_id", "next_at", where="state = 'waiting'"),
        Index("delivery_item", "webhook_id", "item_id", "seq"),
        {"postgresql_with": HOT},
    )


class Tally(Table):
    """Counts of a project as a sum of rows: each transaction adds one, and one at a time folds them into one."""

    __tablename__ = "tally"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    day: Mapped[str | None]  # in UTC, as 2026-11-28; None once `daily_tally` has it
    counts: Mapped[dict[str, int]] = mapped_column(Json)
    __table_args__ = (Index("tally_project", "project_id", "id"), {"postgresql_with": HOT})


class DailyTally(Table):
    """The same counts by the day on which they were made (UTC), folded out of `tally`."""

    __tablename__ = "daily_tally"
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True, autoincrement=False)
    day: Mapped[str] = mapped_column(primary_key=True)  # 2026-11-28
    name: Mapped[str] = mapped_column(primary_key=True)
    n: Mapped[int]
    __table_args__ = ({"postgresql_with": HOT},)


class Dataset(Table):
    """`base`: labels that came with the project; `imported`: those given elsewhere; `export`: what people decided up to a
    watermark. One that held an erased item is replaced by another that does not."""

    __tablename__ = "dataset"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    kind: Mapped[str]  # base, imported, export, answers
    watermark: Mapped[int | None]
    spec: Mapped[dict[str, Any]] = mapped_column(Json)
    content_hash: Mapped[str]
    manifest: Mapped[dict[str, Any]] = mapped_column(Json)
    made_at: Mapped[datetime]
    made_by: Mapped[int | None] = _key("person.id")
    replaced_by: Mapped[int | None]  # the version that has all of it but what was erased
    __table_args__ = (UniqueConstraint("project_id", "content_hash"),)


class DatasetItem(Table):
    __tablename__ = "dataset_item"
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True, autoincrement=False)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("dataset.id"), primary_key=True, autoincrement=False)


class Job(Table):
    """Long work asked for on a page or over HTTP; a worker runs it."""

    __tablename__ = "job"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _key("project.id")
    kind: Mapped[str]  # export, train, compare, retrain, gate, known-answers, report
    args: Mapped[dict[str, Any]] = mapped_column(Json)
    state: Mapped[str] = mapped_column(default="waiting")  # waiting, running, done, failed, cancelled
    progress: Mapped[float] = mapped_column(default=0.0)
    step: Mapped[str | None]
    result: Mapped[dict[str, Any] | None] = mapped_column(Json)
    error: Mapped[str | None]
    ready_at: Mapped[datetime]
    worker: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    asked_by: Mapped[int | None] = _key("person.id")
    asked_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    __table_args__ = (
        _where("job_ready", "ready_at", where="state IN ('waiting', 'running')"),
        Index("job_project", "project_id", "id"),
    )


class Compatibility(Table):
    """The oldest revision of the tables whose programs can still use these: migrations that only add keep it back."""

    __tablename__ = "compatibility"
    one: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    since: Mapped[str]


class Activity(Table):
    """Who changed what, or took data out. Holds no input data."""

    __tablename__ = "activity"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor_id: Mapped[int | None] = _key("person.id")
    for_id: Mapped[int | None] = _key("person.id")  # the person whom a key with act_as named
    via: Mapped[str]  # desk, api, cli, worker
    verb: Mapped[str]
    project_id: Mapped[int | None] = _key("project.id")
    subject: Mapped[str]
    before: Mapped[dict[str, Any] | None] = mapped_column(Json)
    after: Mapped[dict[str, Any] | None] = mapped_column(Json)
    __table_args__ = (
        Index("activity_project", "project_id", "id"),
        Index("activity_subject", "subject", "id"),
        Index("activity_actor", "project_id", "actor_id", "id"),
        Index("activity_verb", "project_id", "verb", "id"),
        Index("activity_at", "project_id", "at"),
        _where("activity_for", "project_id", "for_id", "id", where="for_id IS NOT NULL"),
    )
