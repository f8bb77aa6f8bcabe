"""Why the model leans to a label: bars beside values, marked words, coloured segments. SHAP and LIME side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.ui import formats
from app.ui.draw import pictures
from app.ui.draw.case import cell, picture
from app.ui.formats import text
from contract.given import PRODUCER
from contract.project import Feature, Project
from review_queue.explanations import Reason

TOP = 8
"""Features that stand open; the rest folds."""
Images = Mapping[str, str]


def usable(reasons: Sequence[Reason]) -> list[Reason]:
    """Those that say something."""
    return [reason for reason in reasons if not reason.body.get("problem")]


def heading(reason: Reason) -> str:
    """What a method is called, as HTML: a library's by its name, a producer's as the producer calls it."""
    if reason.method == PRODUCER:
        return text(reason.body["params"].get("method") or "the producer")
    return formats.method(reason.method)


def small_print(reasons: Sequence[Reason], title_of: Any) -> str:
    """Unit and quality of each method, and the sentence of one that failed."""
    return "".join(f'<p class="so-note"><b>{heading(r)}</b> {_print(r, title_of)}</p>' for r in reasons)


def _print(reason: Reason, title_of: Any) -> str:
    problem = reason.body.get("problem")
    if problem:
        return text(problem)
    base = reason.body.get("base")
    start = ""
    if base is not None and reason.method.startswith("shap"):  # a surrogate's intercept says nothing to a person
        start = f", starting from {formats.number(round(base, 3))}"
    said = [f"{text(reason.body.get('unit', ''))} of {text(title_of(reason.label))}{start}"]
    if reason.method == PRODUCER:
        said = [f"sent by the producer, version {text(reason.body['params'].get('model_version'))}", _sent(reason, title_of)]
    quality = reason.body.get("quality", {})
    if (fit := quality.get("local_r2")) is not None:
        said.append(f"fits the model here: R² {fit:.2f}" + (" – read with care" if fit < 0.5 else ""))
    rest = {name: value for name, value in quality.items() if name != "local_r2" and abs(value) > 1e-6}
    said += [f"{text(name.replace('_', ' '))} {value:.2g}" for name, value in rest.items()]
    return " · ".join(said)


def _sent(reason: Reason, title_of: Any) -> str:
    """Unit and start of a producer's reasons, as far as they were said."""
    unit, base = reason.body.get("unit"), reason.body.get("base")
    what = f"{text(unit)} of" if unit else "in a unit that was not said, for"
    start = f", starting from {formats.number(round(base, 3))}" if base is not None else ""
    return f"{what} {text(title_of(reason.label))}{start} · not checked here"


def table(project: Project, given: Mapping[str, Any], reasons: Sequence[Reason]) -> str:
    """Every feature with its value and, per method, a bar to the right or left of a zero line; strongest first."""
    found = [(reason, _by_feature(reason)) for reason in usable(reasons)]
    scales = [max((abs(weight) for weight in weights.values()), default=0.0) for _, weights in found]
    ordered = sorted(project.input.features, key=lambda name: -_strength(name, found, scales))
    rows = [_row(name, project.input.features[name], given.get(name), found, scales) for name in ordered]
    head = "".join(f'<div class="so-h" role="columnheader">{heading(reason)}</div>' for reason, _ in found)
    top = f'<div class="so-bars so-m{len(found)}" role="table"><div class="so-row so-head" role="row">' \
          f'<div class="so-h" role="columnheader">Value</div>{head}</div>{"".join(rows[:TOP])}</div>'  # fmt: skip
    if len(rows) <= TOP:
        return top
    rest = f'<div class="so-bars so-m{len(found)}" role="table">{"".join(rows[TOP:])}</div>'
    return f'{top}<details class="so-rest"><summary>{len(rows) - TOP} weaker features</summary>{rest}</details>'


def _by_feature(reason: Reason) -> dict[str, float]:
    return {str(part["feature"]): float(part["contribution"]) for part in reason.body["contributions"]}


def _strength(name: str, found: Sequence[tuple[Reason, dict[str, float]]], scales: Sequence[float]) -> float:
    shares = [abs(weights.get(name, 0.0)) / scale for (_, weights), scale in zip(found, scales, strict=True) if scale]
    return max(shares, default=0.0)


def _row(
    name: str, feature: Feature, given: Any, found: Sequence[tuple[Reason, dict[str, float]]], scales: Sequence[float]
) -> str:
    bars = "".join(_bar(weights.get(name), scale) for (_, weights), scale in zip(found, scales, strict=True))
    named = f'<span class="so-name">{text(feature.title or name)}</span>{cell(given, feature.unit)}'
    return f'<div class="so-row" role="row"><div class="so-what" role="cell">{named}</div>{bars}</div>'


def _bar(weight: float | None, scale: float) -> str:
    if weight is None:
        return '<div class="so-bar" role="cell"></div>'
    width = 50 * abs(weight) / scale if scale else 0
    side = f"left:50%;width:{width:.1f}%" if weight >= 0 else f"right:50%;width:{width:.1f}%"
    kind = "so-pro" if weight >= 0 else "so-con"
    return (
        f'<div class="so-bar" role="cell"><span class="so-track"><i class="{kind}" style="{side}"></i></span>'
        f'<span class="so-num">{formats.signed(weight)}</span></div>'
    )


def words(given: str, reasons: Sequence[Reason]) -> str:
    """The text once per method, with the words marked that speak for or against."""
    return "".join(f'<section class="so-method"><h4>{heading(r)}</h4>{_marked(given, r)}</section>' for r in usable(reasons))


def _marked(given: str, reason: Reason) -> str:
    parts = sorted(reason.body["contributions"], key=lambda part: part["start"])
    most = max((abs(part["contribution"]) for part in parts), default=0.0)
    out, at = [], 0
    for part in parts:
        start, end = max(at, int(part["start"])), int(part["end"])
        if end > start:
            out += [text(given[at:start]), _mark(given[start:end], float(part["contribution"]), most)]
            at = end
    return f'<div class="so-text so-marked" dir="auto">{"".join(out)}{text(given[at:])}</div>'


def _mark(word: str, weight: float, most: float) -> str:
    share = abs(weight) / most if most else 0.0
    if share < 0.12 or not word.strip():
        return text(word)
    kind, sign = ("so-pro", "+") if weight > 0 else ("so-con", "−")
    strong = f'<sup aria-hidden="true">{sign}</sup>' if share >= 0.3 else ""
    return f'<mark class="{kind}" style="--a:{20 + 50 * share:.0f}%" title="{formats.signed(weight)}">{text(word)}{strong}</mark>'


def segments(uri: str | None, reasons: Sequence[Reason], *, pixels: bool) -> str:
    """The plain image and, beside it, one per method with its segments coloured by their sign."""
    plain = f"<figure>{picture(uri, 'the case', pixels=pixels)}<figcaption>as it came</figcaption></figure>"
    return f'<div class="so-figures">{plain}{"".join(_figure(uri, r, pixels) for r in usable(reasons))}</div>'


def _figure(uri: str | None, reason: Reason, pixels: bool) -> str:
    body = reason.body["contributions"]
    over, marks = pictures.overlay(body["segments"], list(body["weights"]))
    signs = "".join(
        f'<b class="so-sign" style="left:{left * 100:.1f}%;top:{top * 100:.1f}%">{"+" if weight > 0 else "−"}</b>'
        for left, top, weight in marks
    )
    under = picture(uri, f"the case with what {formats.method(reason.method)} found", pixels=pixels)
    layer = f'<img class="so-over" src="{over}" alt="">'
    name = formats.method(reason.method)
    return f'<figure><div class="so-stack">{under}{layer}{signs}</div><figcaption>{name}</figcaption></figure>'


def legend(label: str) -> str:
    """What the colours and signs mean."""
    return (
        f'<p class="so-legend"><span><i class="so-pro"></i>+ speaks for {text(label)}</span>'
        f'<span><i class="so-con"></i>− speaks against</span></p>'
    )
