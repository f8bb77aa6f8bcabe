"""A prediction that comes with its item: held against the project, and read back as it was sent."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from contract.files import nearest
from contract.inputs import InputError
from contract.project import Project, version_text
from contract.records import Explanation, Prediction, Row

SUM_WITHIN = 1e-3
"""How far the probabilities of an item may miss one together."""
MOST_PARTS = 2_000
"""Contributions that the reasons of one item may have."""
MAX_METHOD = 60
PRODUCER = "producer"
"""The method of an explanation that was sent."""
NO_VERSION = (
    "is not there, and project.yaml has no model.version to fall back on; send the name of the version that made the prediction"
)


@dataclass(frozen=True, slots=True)
class Given:
    """A prediction as it is kept: whose it is, a probability per label (absent is 0), and why where that was sent."""

    model_version: str
    probabilities: Mapping[str, float]
    reasons: Mapping[str, Any] | None

    def prediction(self, labels: Sequence[str]) -> Prediction:
        """In the order of a model's labels; the numbers are those that were sent."""
        return Prediction(tuple(labels), tuple(self.probabilities.get(label, 0.0) for label in labels))


def refuse_prediction(project: Project, raw: Any) -> None:
    """Raises InputError where a prediction was sent to a project that asks its own model."""
    if raw is not None and not project.external:
        raise InputError(
            "prediction",
            "is taken only where project.yaml says `model: {uri: external}`; leave it out, and the project's own model scores",
        )


def check_prediction(project: Project, raw: Any, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was sent, JSON-ready and without zeros; `given` is the checked input. None where nothing was.

    Raises InputError naming the place and the mend.
    """
    if raw is None:
        return None
    parts = _parts("prediction", raw, ("probabilities", "model_version", "reasons"))
    chances = _probabilities(project, parts.get("probabilities"))
    checked: dict[str, Any] = {"probabilities": chances}
    if parts.get("model_version") is not None:
        checked["model_version"] = _version(parts["model_version"])
    elif project.model.version is None:
        raise InputError("prediction.model_version", NO_VERSION)
    if parts.get("reasons") is not None:
        leading = max(project.labels, key=lambda label: chances.get(label, 0.0))
        checked["reasons"] = _reasons(project, parts["reasons"], given, leading)
    return checked


def keep(project: Project, checked: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of a checked prediction: it names its version, whatever project.yaml says later."""
    return {"model_version": project.model.version, **checked}


def read_given(text: str) -> Given:
    """A stored prediction."""
    held = json.loads(text)
    return Given(held["model_version"], held["probabilities"], held.get("reasons"))


def explanation(project: Project, given: Given, row: Row) -> Explanation | None:
    """The reasons that were sent, as those of any other method are kept; None where none were."""
    if given.reasons is None:
        return None
    held = given.reasons
    text = row.get(next(iter(project.input.features))) or ""
    by_text = project.input.type == "text"
    parts = [
        {**part, "text": text[part["start"] : part["end"]]} if by_text else {**part, "value": row.get(part["feature"])}
        for part in held["contributions"]
    ]
    params = {"method": held.get("method"), "model_version": given.model_version}
    unit, base, modality = held.get("unit"), held.get("base"), project.input.type
    return Explanation(PRODUCER, held["label"], unit, base, parts, params, 0, "", {}, 0.0, None, modality)


def _parts(place: str, raw: Any, known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise InputError(place, f"must be an object with {', '.join(known)}")
    for name in raw:
        if name not in known:
            raise InputError(f"{place}.{name}", f"is no part of {place}{nearest(str(name), known)}")
    return raw


def _probabilities(project: Project, raw: Any) -> dict[str, float]:
    place = "prediction.probabilities"
    if not isinstance(raw, Mapping) or not raw:
        example = ", ".join(f'"{label}": …' for label in list(project.labels)[:2])
        raise InputError(
            place, f"must be an object of label and probability, {{{example}}}; a list says of no number whose it is"
        )
    for label in raw:
        if label not in project.labels:
            raise InputError(f"{place}.{label}", f"is no label of {project.project}" + nearest(str(label), project.labels))
    chances = {label: _probability(f"{place}.{label}", raw[label]) for label in project.labels if label in raw}
    total = math.fsum(chances.values())
    if abs(total - 1) > SUM_WITHIN:
        raise InputError(place, f"sum to {total:.6g}, not to 1; send one for every label that can be meant (absent is 0)")
    return {label: p for label, p in chances.items() if p > 0}


def _probability(place: str, value: Any) -> float:
    p = _finite(place, value)
    if not 0 <= p <= 1:
        raise InputError(place, f"{value} is no probability; send a number from 0 to 1")
    return p


def _finite(place: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(place, f"must be a number, not {_short(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InputError(place, f"{number} is no number that can be kept; send a finite one")
    return number


def _version(value: Any) -> str:
    try:
        return version_text(value)
    except ValueError as error:
        raise InputError("prediction.model_version", str(error)) from error


def _reasons(project: Project, raw: Any, given: Mapping[str, Any], leading: str) -> dict[str, Any]:
    """The producer's reasons in the project's words; a list alone is the contributions to the leading label."""
    place = "prediction.reasons"
    if project.input.type == "image":
        raise InputError(place, "are not taken of images so far; leave them out, and the case is shown without")
    held = _parts(place, {"contributions": raw} if isinstance(raw, list) else raw, _REASONS)
    label = held.get("label", leading)
    if not isinstance(label, str) or label not in project.labels:
        raise InputError(f"{place}.label", f"is no label of {project.project}" + nearest(str(label), project.labels))
    said: dict[str, Any] = {"label": label, "method": _method(held.get("method")), "unit": _unit(held.get("unit"))}
    said["base"] = None if held.get("base") is None else _finite(f"{place}.base", held["base"])
    parts = _listed(f"{place}.contributions", held.get("contributions"))
    if project.input.type == "text":
        text = given.get(next(iter(project.input.features))) or ""
        found = list(_spans(f"{place}.contributions", parts, text))
    else:
        found = list(_features(f"{place}.contributions", parts, project))
    return {**{name: value for name, value in said.items() if value is not None}, "contributions": found}


_REASONS = ("contributions", "label", "unit", "method", "base")


def _method(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= MAX_METHOD):
        return value.strip() if value is not None else None
    raise InputError("prediction.reasons.method", f"must be a short name of one line, up to {MAX_METHOD} characters")


def _unit(value: Any) -> str | None:
    if value in (None, "log-odds", "probability"):
        return None if value is None else str(value)
    raise InputError("prediction.reasons.unit", f"{_short(value)} is no unit; send log-odds or probability, or leave it out")


def _listed(place: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise InputError(place, "must be a list of objects, each with a contribution; leave reasons out where there are none")
    if len(value) > MOST_PARTS:
        raise InputError(place, f"has {len(value):,} parts; at most {MOST_PARTS:,} are taken, so send the strongest")
    return value


def _features(place: str, parts: Sequence[Any], project: Project) -> Iterable[dict[str, Any]]:
    """Contributions by feature, in the project's order; each feature once, under its present name."""
    renamed = {f.was: name for name, f in project.input.features.items() if f.was}
    found: dict[str, float] = {}
    for n, part in enumerate(parts):
        here = f"{place}[{n}]"
        held = _parts(here, part, ("feature", "contribution"))
        named = held.get("feature")
        name = renamed.get(named, named) if isinstance(named, str) else ""
        if name not in project.input.features:
            raise InputError(f"{here}.feature", f"is no feature of the project{nearest(str(named), project.input.features)}")
        if name in found:
            raise InputError(f"{here}.feature", f"{name} stands twice; send one contribution for each feature")
        found[name] = _finite(f"{here}.contribution", held.get("contribution"))
    return ({"feature": name, "contribution": found[name]} for name in project.input.features if name in found)


def _spans(place: str, parts: Sequence[Any], text: str) -> Iterable[dict[str, Any]]:
    """Contributions by stretch of the text, in reading order; places count characters (Unicode code points) from 0."""
    found: list[dict[str, Any]] = []
    for n, part in enumerate(parts):
        here = f"{place}[{n}]"
        held = _parts(here, part, ("start", "end", "contribution"))
        start, end = held.get("start"), held.get("end")
        if not (_whole(start) and _whole(end) and 0 <= start < end <= len(text)):  # type: ignore[operator]
            raise InputError(here, f"start and end must be whole numbers with 0 <= start < end <= {len(text)}, the text's length")
        found.append({"start": start, "end": end, "contribution": _finite(f"{here}.contribution", held.get("contribution"))})
    found.sort(key=lambda part: part["start"])
    for before, after in pairwise(found):
        if after["start"] < before["end"]:
            raise InputError(place, f"overlap at character {after['start']}; send stretches that do not")
    return found


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
