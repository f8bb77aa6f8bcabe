"""What of a policy decides how much may act alone: what people sign for. The stricter of asked and granted holds."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from contract.policy import Autonomy, Policy, Score

Thresholds = Mapping[str, float | None]
"""Label -> the confidence at or above which it acts alone; None: never."""


@dataclass(frozen=True, slots=True)
class Terms:
    """`thresholds` by label, with what `own` names for single labels; a label that is in neither never acts alone.

    `strange`: the share of ordinary cases that may be kept from acting alone as unlike what the model learned from.
    """

    autonomy: Autonomy
    score: Score
    thresholds: Thresholds
    own: Thresholds
    vetoes: tuple[str, ...]
    strange: float | None
    audit_rate: float
    max_error: float
    confidence: float
    most_missed: float
    segments: Mapping[str, str]
    by_label: bool
    signers: int
    on_alarm: Literal["review", "notice"]

    @property
    def acts(self) -> bool:
        """Whether anything would act alone."""
        return any(at is not None for at in self.thresholds.values())

    def frozen(self) -> dict[str, Any]:
        """What evidence rests on: a change of it opens a new evidence period. JSON-ready."""
        kept = ("max_error", "confidence", "most_missed", "by_label", "strange")
        return {
            **{name: getattr(self, name) for name in kept},
            "segments": dict(self.segments),
            "own": dict(self.own),
            "vetoes": sorted(self.vetoes),
            **({"labels": sorted(self.thresholds)} if self.by_label else {}),
        }

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "vetoes": list(self.vetoes)}

    @classmethod
    def of_json(cls, body: Mapping[str, Any]) -> "Terms":
        return cls(**{**body, "vetoes": tuple(body["vetoes"])})


def terms(policy: Policy, labels: Sequence[str]) -> Terms:
    """The terms that a policy asks for."""
    automate, evidence = policy.automate, policy.evidence
    default = None if automate.at_least == "off" else automate.at_least
    own = {label: None if value == "never" else value for label, value in automate.per_label.items()}
    if default is None and any(at is not None for at in own.values()):
        own = {label: own.get(label) for label in labels}  # the others never act, so they are no evidence of what does
    return Terms(
        autonomy=policy.autonomy,
        score=policy.score,
        thresholds={label: own.get(label, default) for label in labels},
        own=own,
        vetoes=automate.never,
        strange=None if automate.strange == "off" else automate.strange,
        audit_rate=policy.audit.rate,
        max_error=evidence.max_error,
        confidence=evidence.confidence,
        most_missed=evidence.most_missed,
        segments=dict(evidence.segments),
        by_label=evidence.by_label,
        signers=evidence.signers,
        on_alarm=evidence.on_alarm,
    )


def wish(held: Terms, grid: Sequence[float]) -> float | None:
    """The least threshold of a grid that reaches what these terms ask for; None where they let nothing act, or only above it."""
    asked = asked_for(held)
    if asked is None:
        own = any(at is not None for at in held.own.values())
        return next(iter(grid), None) if own else None
    return next((at for at in grid if at >= asked), None)


def asked_for(held: Terms) -> float | None:
    """The confidence from which these terms let labels act that have no threshold of their own."""
    return min((at for label, at in held.thresholds.items() if at is not None and label not in held.own), default=None)


def nothing(asked: Terms) -> Terms:
    """The same terms with nothing that acts alone: what stands before anybody signed."""
    return replace(asked, thresholds=dict.fromkeys(asked.thresholds))


def loosens(asked: Terms, granted: Terms) -> tuple[str, ...]:
    """In words, how the asked terms let more act alone, or check it less, than was granted; empty: they do not."""
    return tuple(_looser(asked, granted))


def _looser(asked: Terms, granted: Terms) -> Iterator[str]:
    if asked.signers < granted.signers:
        yield f"{asked.signers} instead of {granted.signers} sign a rise"
    if asked.audit_rate < granted.audit_rate:
        yield f"{asked.audit_rate:.4g} instead of {granted.audit_rate:.4g} of what acts alone is spot-checked"
    if asked.autonomy == "earned" or not asked.acts:
        return  # how much acts is for evidence to say, or nothing does
    if granted.autonomy == "earned":
        yield "thresholds act as written instead of as far as evidence goes"
        return
    if asked.score != granted.score:
        yield f"confidence is {asked.score} instead of {granted.score}"
    else:
        yield from _lower(asked.thresholds, granted.thresholds)
    for veto in sorted(set(granted.vetoes) - set(asked.vetoes)):
        yield f"no longer kept from acting alone: {veto}"
    if granted.strange is not None and (asked.strange is None or asked.strange < granted.strange):
        yield "more of what is unlike anything the model learned from acts alone"
    if asked.on_alarm == "notice" != granted.on_alarm:
        yield "an alarm only gives notice"
    if asked.max_error > granted.max_error:
        yield f"errors of {asked.max_error:.4g} instead of {granted.max_error:.4g} are held to be fit"


def _lower(asked: Thresholds, granted: Thresholds) -> Iterator[str]:
    """Labels that change alike are named together."""
    lower: dict[str, list[str]] = {}
    for label, at in asked.items():
        before = granted.get(label)
        if at is not None and (before is None or at < before):
            since = f"from {at:g}" + ("" if before is None else f" instead of {before:g}")
            lower.setdefault(since, []).append(label)
    for since, held in lower.items():
        whose = "everything" if len(held) == len(asked) > 1 else ", ".join(held)
        yield f"{whose} {'acts' if whose == 'everything' or len(held) == 1 else 'act'} alone {since}"


def stricter(asked: Terms, granted: Terms) -> Terms:
    """What is in force: of each term the stricter one. Thresholds of another score than was granted wait as a whole."""
    same = asked.score == granted.score or granted.autonomy == "earned"
    wished = asked.thresholds if same else {label: None if at is None else 0.0 for label, at in asked.thresholds.items()}
    held = asked.thresholds if granted.autonomy == "earned" else granted.thresholds
    return replace(
        asked,
        autonomy="earned" if "earned" in (asked.autonomy, granted.autonomy) else "set",
        score=asked.score if same else granted.score,
        thresholds={label: _higher(at, held.get(label)) for label, at in wished.items()},
        own=asked.own if same else granted.own,
        vetoes=tuple(dict.fromkeys((*asked.vetoes, *granted.vetoes))) if granted.autonomy == "set" else asked.vetoes,
        strange=max((each for each in (asked.strange, granted.strange) if each is not None), default=None),
        audit_rate=max(asked.audit_rate, granted.audit_rate),
        max_error=min(asked.max_error, granted.max_error) if granted.autonomy == "set" else asked.max_error,
        signers=max(asked.signers, granted.signers),
        on_alarm="review" if "review" in (asked.on_alarm, granted.on_alarm) else "notice",
    )


def _higher(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else max(one, other)


WHOLE = "*"
"""The project as a whole, where a step is about no single unit."""


def unit(segment: str, label: str | None) -> str:
    """Whose evidence a case is: its segment and, where labels have their own, its predicted label."""
    return segment if label is None else f"{segment}:{label}"


def units(held: Terms) -> list[str]:
    """Every unit that these terms make; `""` is all that no segment takes."""
    segments = [*held.segments, ""]
    if not held.by_label:
        return segments
    return [unit(segment, label) for segment in segments for label in held.thresholds]


def called(unit: str, segments: Collection[str] = ()) -> str:
    """A unit in words; beside segments the rest is what none of them takes."""
    segment, colon, label = unit.partition(":")
    if unit == WHOLE:
        return "the project"
    if not colon:
        return segment or ("all other cases" if segments else "all cases")
    return f"{label} in {segment}" if segment else label
