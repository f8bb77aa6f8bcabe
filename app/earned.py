"""Evidence and autonomy as the command line and the API print them: without the counts that only statistics need."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Id = Annotated[str, BeforeValidator(str), Field(examples=["17"])]
LISTED = "Cases at or above one threshold, strictest first; each is certified once it and all before it are."


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class BandOut(_Out):
    """`n` cases at or above a threshold, `drawn` looked at, `errors` found. `upper` holds however often one looks."""

    threshold: float
    n: int
    drawn: int
    errors: int
    estimate: float | None
    se: float | None
    upper: float
    log_e: float
    certified_at: datetime | None


class LedgerOut(_Out):
    """The evidence of one unit: certified where `log_e` reaches `line`."""

    unit: str
    called: str
    alpha: float
    delta: float
    line: float
    begun: int = Field(description="How often it began in this period: an alarm begins it anew.")
    certified_from: float | None
    bands: list[BandOut] = Field(description=LISTED)


class VigilanceOut(_Out):
    """How many errors people miss: `missed` of `n` gold cases in which the model erred, answered blind."""

    n: int
    missed: int
    most: float
    log_e: float
    needed_log_e: float
    proven: bool


class EvidenceOut(_Out):
    """What stands in the open evidence period. `open_draws` wait; what came before the first of them counts."""

    project: str
    period_id: Id
    opened_at: datetime
    model_id: Id
    score: str
    max_error: float
    alpha: float
    delta: float
    open_draws: int
    vigilance: VigilanceOut
    units: list[LedgerOut]


class ConditionOut(_Out):
    name: str
    met: bool
    said: str


class RiseOut(_Out):
    """The next step up, ready once every condition is met."""

    unit: str
    from_level: str
    to_level: str
    threshold: float | None
    rate: float
    ready: bool
    conditions: list[ConditionOut]


class UnitOut(_Out):
    """`threshold`: from where it acts alone now; `wish`: from where the policy asks it to; `m`: of the detector."""

    unit: str
    called: str
    level: str
    threshold: float | None
    wish: float | None
    rate: float
    since: datetime | None
    certified_from: float | None
    checks: int
    errors: int
    m: float
    warn: float
    alarm: float
    rise: RiseOut


class StepOut(_Out):
    """One step of the ladder with what it rests on. `state`: open, applied, withdrawn; a fall needs no signatures."""

    id: Id
    unit: str
    kind: str
    from_level: str
    to_level: str
    cause: str
    counts: dict[str, Any]
    log_e: float | None
    alpha: float | None
    delta: float | None
    code_version: str
    signers: int
    signed_by: list[str]
    state: str
    made_by: str | None
    made_at: datetime
    ended_at: datetime | None
    routing_rule_id: Id | None = None


class AutonomyOut(_Out):
    """`kept`: conditions under which nothing acts alone, as the evidence says. `allows`: what `earned` would let act, in words.
    `whole`: the step out of shadow. `offers`: rises that wait for signatures."""

    project: str
    autonomy: str
    level: str
    frozen_at: datetime | None
    signers: int
    allows: str
    kept: list[str]
    units: list[UnitOut]
    whole: RiseOut | None
    offers: list[StepOut]


def evidence_out(project: str, found: Any) -> EvidenceOut:
    """Of an `evidence.Evidence`."""
    ledgers = [_ledger(each) for each in found.units.values()]
    kept = {name: getattr(found, name) for name in EvidenceOut.model_fields if name not in ("project", "units")}
    kept["vigilance"] = VigilanceOut.model_validate(found.vigilance)
    return EvidenceOut(project=project, units=ledgers, **kept)


def _ledger(found: Any) -> LedgerOut:
    kept = {name: getattr(found, name) for name in ("unit", "called", "alpha", "delta", "line", "begun")}
    bands = [BandOut.model_validate(band) for band in found.bands]
    return LedgerOut(certified_from=_from(found), bands=bands, **kept)


def _from(ledger: Any) -> float | None:
    threshold: float | None = ledger.certified.threshold if ledger.certified is not None else None
    return threshold


def autonomy_out(project: str, found: Any) -> AutonomyOut:
    """Of an `autonomy.Overview`."""
    kept = {name: getattr(found, name) for name in ("autonomy", "level", "frozen_at", "signers", "allows")}
    return AutonomyOut(
        project=project,
        kept=list(found.kept),
        units=[_unit(each) for each in found.units],
        whole=RiseOut.model_validate(found.whole) if found.whole is not None else None,
        offers=[step_out(each) for each in found.offers],
        **kept,
    )


def _unit(found: Any) -> UnitOut:
    own = ("certified_from", "checks", "errors", "rise")
    return UnitOut(
        certified_from=_from(found.ledger),
        checks=sum(each.n for each in found.checks),
        errors=sum(each.errors for each in found.checks),
        rise=RiseOut.model_validate(found.rise),
        **{name: getattr(found, name) for name in UnitOut.model_fields if name not in own},
    )


def step_out(found: Any) -> StepOut:
    """Of a `steps.Step`."""
    grounds = ("counts", "log_e", "alpha", "delta")
    held = {name: getattr(found.grounds, name) for name in grounds}
    held["counts"] = dict(held["counts"])
    rest = {name: getattr(found, name) for name in StepOut.model_fields if name not in grounds}
    rest["signed_by"] = list(rest["signed_by"])
    return StepOut(**held, **rest)
