"""One item's input held against the project: every value checked, every error naming the place, the value and the mend."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from contract.dates import iso
from contract.files import nearest
from contract.project import Feature, Input, Project, Shown

MAX_TEXT = 200_000
"""Characters in one text value."""
MAX_CATEGORY = 1_000
MAX_ID = 500
MOST_PLANS = 256
"""Projects whose checks are remembered."""
_WHOLE = 2**53
MISSING = frozenset({"-", "--", "?", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "unknown", "missing"})
"""What files write, in any case, where a number, a boolean or a date is missing; in a category or a text they are values."""
_DECIMAL_COMMA = re.compile(r"[-+]?(?:[1-9]\d{0,2}(?:\.\d{3})+|\d+)(?:,\d*)?(?:[eE][-+]?\d+)?")
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


REPLACED = "\x1f"
"""What marks the place of an item that was replaced; no id of a producer holds it."""


class InputError(ValueError):
    """An item that cannot be taken: where, and what to mend."""

    def __init__(self, place: str, message: str) -> None:
        self.place = place
        super().__init__(f"{place}: {message}")


def check_external_id(value: Any, place: str = "external_id") -> str:
    """The producer's id, of an item or of its subject, as text. Raises InputError."""
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
        raise InputError(place, f"{_short(value)} is no id; send a text or a whole number")
    if REPLACED in str(value):
        raise InputError(place, "holds the control character U+001F; take it out")
    return _text(place, str(value), MAX_ID)


def check_input(project: Project, raw: Any) -> dict[str, Any]:
    """What the model sees, in the project's order; a renamed feature is taken under its old name too."""
    if not isinstance(raw, Mapping):
        raise InputError("input", f"must be an object of {', '.join(project.input.features)}, not {_kind(raw)}")
    plan = _plan(project.input)
    if not plan.known.issuperset(raw):
        name = next(name for name in raw if name not in plan.known)
        raise InputError(f"input.{name}", "the project has no such feature" + nearest(str(name), project.input.features))
    checked = {}
    for name, place, check, feature in plan.features:
        value = raw[name] if name in raw else _else(place, feature, raw)
        checked[name] = None if value is None else check(place, value)
    time = project.input.time
    if time and time not in checked and raw.get(time) is not None:
        checked[time] = _date(f"input.{time}", raw[time])
    return checked


def check_shown(project: Project, raw: Any) -> dict[str, Any]:
    """What only the person sees. Absent fields stay absent."""
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise InputError("show", f"must be an object, not {_kind(raw)}")
    for name in raw:
        if name not in project.input.show:
            raise InputError(f"show.{name}", "the project shows no such field" + nearest(str(name), project.input.show))
    return {name: _shown(f"show.{name}", field, raw[name]) for name, field in project.input.show.items() if name in raw}


def check_groups(project: Project, raw: Any) -> dict[str, str | None]:
    """Values of the fairness groups, as text."""
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise InputError("groups", f"must be an object, not {_kind(raw)}")
    for name in raw:
        if name not in project.input.groups:
            raise InputError(f"groups.{name}", "the project has no such group" + nearest(str(name), project.input.groups))
    return {name: None if raw[name] is None else _category(f"groups.{name}", raw[name]) for name in raw}


def read_input(project: Project, text: str | None) -> dict[str, Any]:
    """A stored input, as `under_both_names` gives it."""
    return under_both_names(project, json.loads(text) if text else {})


def under_both_names(project: Project, given: Mapping[str, Any]) -> dict[str, Any]:
    """An input in which a renamed feature is there under both its names, so that every model finds its own."""
    held = dict(given)
    for name, was in _plan(project.input).renamed:
        if (name in held) != (was in held):
            held[name] = held[was] = held.get(name, held.get(was))
    return held


def from_text(kind: str, cell: str | None, *, decimal_comma: bool = False) -> Any:
    """One cell of a file as the JSON value of its type; an empty cell is missing, and so is MISSING where that is no value.

    `decimal_comma`: numbers are written 12,5 and 1.234,56. Dates may be spelled as `contract.dates.iso` reads them.
    What cannot be converted stays text, so that the check names it.
    """
    text = "" if cell is None else cell.strip()
    if text == "" or (kind in ("number", "boolean", "date") and text.lower() in MISSING):
        return None
    if kind == "number":
        return _number_in(text, decimal_comma, cell)
    if kind == "boolean":
        return _BOOLEANS.get(text.lower(), cell)
    if kind == "date":
        return iso(text) or text
    return cell if kind == "text" else text


def _number_in(text: str, decimal_comma: bool, otherwise: str | None) -> float | str | None:
    if decimal_comma and _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    try:
        return otherwise if "_" in text else float(text)
    except ValueError:
        return otherwise


Check = Callable[[str, Any], Any]
"""(place, value) to the value as it is kept. Raises InputError."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the check of every item of a project asks for, worked out once."""

    input: Input
    features: tuple[tuple[str, str, Check, Feature], ...]
    known: frozenset[str]
    renamed: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, held: Input) -> "_Plan":
        features = tuple((name, f"input.{name}", _CHECKS[f.type], f) for name, f in held.features.items())
        names = {*held.features, *(f.was for f in held.features.values()), held.time}
        renamed = tuple((name, f.was) for name, f in held.features.items() if f.was is not None)
        return cls(held, features, frozenset(name for name in names if name), renamed)


_plans: dict[int, _Plan] = {}


def _plan(held: Input) -> _Plan:
    plan = _plans.get(id(held))
    if plan is None or plan.input is not held:
        if len(_plans) >= MOST_PLANS:
            _plans.clear()
        _plans[id(held)] = plan = _Plan.of(held)
    return plan


def _else(place: str, feature: Feature, raw: Mapping[str, Any]) -> Any:
    """The value of a feature that is not there under its own name."""
    if feature.was and feature.was in raw:
        return raw[feature.was]
    if feature.optional:
        return None
    raise InputError(place, f"is not there; send a {feature.type}, or null where the value is missing")


def _shown(place: str, field: Shown, value: Any) -> Any:
    if field.many:
        if not isinstance(value, list):
            raise InputError(place, f"must be a list of {field.type}, not {_kind(value)}")
        return [_value(f"{place}[{n}]", field.type, each) for n, each in enumerate(value)]
    return _value(place, field.type, value)


def _value(place: str, kind: str, value: Any) -> Any:
    return None if value is None else _CHECKS[kind](place, value)


def _number(place: str, value: Any) -> float | int:
    if type(value) is float and -_WHOLE < value < _WHOLE:
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(place, f"must be a number, not {_kind(value)} {_short(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(place, f"{value} is not a number that can be scored; send null where the value is missing")
    if abs(value) >= _WHOLE:
        raise InputError(place, f"{_short(value)} is beyond 2^53, where numbers lose digits; send it as text in a category")
    return value


def _category(place: str, value: Any) -> str:
    if type(value) is str:
        return _text(place, value, MAX_CATEGORY)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        value = str(int(value)) if abs(value) < _WHOLE and value == int(value) else str(value)
    if not isinstance(value, str):
        raise InputError(place, f"must be a category in text, not {_kind(value)} {_short(value)}")
    return _text(place, value, MAX_CATEGORY)


def _boolean(place: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(place, f"must be true or false, not {_kind(value)} {_short(value)}")
    return value


def _date(place: str, value: Any) -> str:
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    try:
        datetime.fromisoformat(_text(place, value, MAX_CATEGORY) if isinstance(value, str) else value)
    except (TypeError, ValueError):
        raise InputError(place, f"{_short(value)} is not a date; write it as 2026-11-24 or 2026-11-24T13:45:00Z") from None
    return str(value)


def _long_text(place: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(place, f"must be text, not {_kind(value)} {_short(value)}")
    return _text(place, value, MAX_TEXT)


def _text(place: str, value: str, limit: int) -> str:
    if len(value) > limit:
        raise InputError(place, f"has {len(value):,} characters; at most {limit:,} are taken, so shorten or split it")
    if "\x00" in value:
        raise InputError(place, "holds a NUL character; take it out")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError(place, "holds a lone surrogate; send valid Unicode") from None
    return value


def _link(place: str, value: Any) -> str:
    if not isinstance(value, str) or not value.lower().startswith(("http://", "https://")):
        raise InputError(place, f"{_short(value)} is not a link; it must begin with http:// or https://")
    return _text(place, value, 2_000)


def _blob(place: str, value: Any) -> dict[str, str]:
    sha = value.get("blob") if isinstance(value, Mapping) and set(value) == {"blob"} else None
    digits = sha.removeprefix("sha256:") if isinstance(sha, str) and sha.startswith("sha256:") else ""
    if len(digits) != 64 or set(digits) - set("0123456789abcdef"):
        raise InputError(place, f'{_short(value)} is not {{"blob": "sha256:…"}}; post the bytes to …/blobs first')
    return {"blob": f"sha256:{digits}"}


_CHECKS: dict[str, Check] = {
    "number": _number,
    "category": _category,
    "boolean": _boolean,
    "date": _date,
    "text": _long_text,
    "link": _link,
    "image": _blob,
    "file": _blob,
}


def _kind(value: Any) -> str:
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "text", list: "a list"}
    return names.get(type(value), "an object")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
