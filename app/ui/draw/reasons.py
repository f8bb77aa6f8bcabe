"""What stands beside the reasons of a case: the method's name, its unit, whether it may be relied on, and the small print."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.ui import formats
from app.ui.formats import text
from contract.given import PRODUCER
from review_queue.explanations import Reason
from review_queue.spreads import Spread

Title = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class View:
    """How a case is looked at. `full`: with all there is. `late`: its reasons came while it was on the page, where whoever
    reads on must not lose their line: nothing is put into another order. `spread`: what its values are held against."""

    full: bool = False
    late: bool = False
    spread: Spread | None = None


PLAIN = View()


def usable(reasons: Sequence[Reason]) -> list[Reason]:
    """Those that say something."""
    return [reason for reason in reasons if not reason.body.get("problem")]


def ahead(reasons: Sequence[Reason]) -> list[Reason]:
    """Those that were made without being asked for."""
    return [reason for reason in reasons if not reason.requested]


def doubted(reasons: Sequence[Reason]) -> list[Reason]:
    """Those whose order is not to be relied on."""
    return [reason for reason in usable(reasons) if reason.doubt]


def named(reason: Reason) -> str:
    """What a method is called: one of ours by its title, a producer's as the producer calls it."""
    if reason.method == PRODUCER:
        return str(reason.body["params"].get("method") or "the producer")
    return formats.method(reason.method)


def heading(reason: Reason) -> str:
    """That name as HTML."""
    return text(named(reason))


def head(reason: Reason) -> str:
    """The name with the unit, or with the word that its order is not to be relied on."""
    unit = "unstable" if reason.doubt else reason.body.get("unit")
    return heading(reason) + (f" <small>{text(unit)}</small>" if unit else "")


def heads(reasons: Sequence[Reason], title_of: Title) -> list[str]:
    """The heads of several, with the label that each speaks for where that is not the same."""
    if len({reason.label for reason in reasons}) < 2:
        return [head(reason) for reason in reasons]
    return [f"<b>for {text(title_of(reason.label))}</b> <small>{head(reason)}</small>" for reason in reasons]


def small_print(reasons: Sequence[Reason], title_of: Title, *, full: bool = True) -> str:
    """Unit and quality of each method, and the sentence of one that failed. Not `full`: the unit, and what was put in place."""
    return "".join(f'<p class="so-note"><b>{heading(r)}</b> {_print(r, title_of, full)}</p>' for r in reasons)


def _print(reason: Reason, title_of: Title, full: bool) -> str:
    problem = reason.body.get("problem")
    if problem:
        return text(problem)
    if reason.method == PRODUCER:
        version = text(reason.body["params"].get("model_version"))
        said = [f"sent by the producer, version {version}", _sent(reason, title_of)]
    else:
        said = [f"{text(reason.body.get('unit', ''))} of {text(title_of(reason.label))}{_start(reason)}"]
    said += _instead(reason)
    return " · ".join(said + (_quality(reason) if full else []))


def _start(reason: Reason) -> str:
    """Where contributions start from; a surrogate's intercept says nothing to a person."""
    base = reason.body.get("base")
    if base is None or reason.method.startswith("lime"):
        return ""
    return f", starting from {formats.number(round(base, 3))}".replace("-", "−")


def _sent(reason: Reason, title_of: Title) -> str:
    """Unit and start of a producer's reasons, as far as they were said."""
    unit = reason.body.get("unit")
    what = f"{text(unit)} of" if unit else "in a unit that was not said, for"
    return f"{what} {text(title_of(reason.label))}{_start(reason)} · not checked here"


def _instead(reason: Reason) -> list[str]:
    """Which method was tried first, and by how much it missed."""
    params = reason.body.get("params", {})
    first, missed = params.get("instead_of"), params.get("missed_by")
    if first is None:
        return []
    by = f" missed by {formats.percent(missed)}" if missed is not None else " gave nothing"
    return [f"{text(formats.method(first))}{by}, so this stands in its place"]


LEAST_SAID = 5e-4
"""A share below which nothing is missed that a person would see."""
EXACT = 1e-6
"""A gap that is rounding alone."""
SAID: Mapping[str, Callable[[float], str]] = {
    "local_r2": lambda value: f"fits the model here: R² {value:.2f}",
    "additivity_gap": lambda value: "adds up to the model's answer" + (f" within {value:.1g}" if value > EXACT else ""),
    "relative_gap": lambda value: f"misses {formats.percent(value, 1)} of what it shares out" if value >= LEAST_SAID else "",
    "prediction_gap": lambda value: f"misses the model's own answer by {value:.2g}",
    "stability": lambda value: f"same first five under other draws: {value:.2f}",
}
"""Figures of quality as sentences."""


def _quality(reason: Reason) -> list[str]:
    found: dict[str, Any] = {**reason.body.get("quality", {})}
    if reason.stability is not None:
        found["stability"] = reason.stability
    known = [said for name, say in SAID.items() if found.get(name) is not None and (said := say(found[name]))]
    rest = {name: value for name, value in found.items() if name not in SAID and isinstance(value, float) and abs(value) > 1e-6}
    return known + [f"{text(name.replace('_', ' '))} {value:.2g}" for name, value in rest.items()]


def unfold(reasons: Sequence[Reason], drawn: Callable[[Reason], str]) -> str:
    """What is unstable: its sentence, with the drawing behind it for whoever wants it all the same."""
    return "".join(
        f'<details class="so-unstable"><summary><b>{heading(r)} is unstable here:</b> {text(r.doubt)}. '
        f"<u>Show it all the same</u></summary>{drawn(r)}</details>"
        for r in doubted(reasons)
    )


def legend(label: str, other: str | None = None) -> str:
    """What the colours and signs mean. `other`: the one other label, where there are two."""
    against = f"against it, for {text(other)}" if other is not None else "against"
    return (
        f'<p class="so-legend"><span><i class="so-pro"></i>+ speaks for {text(label)}</span>'
        f'<span><i class="so-con"></i>− speaks {against}</span></p>'
    )
