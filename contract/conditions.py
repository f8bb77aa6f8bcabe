"""Conditions of policy.yaml: `NAME OP VALUE`, joined by and, or, not and brackets. Parsed here, never evaluated as code.

    condition := both (or both)*
    both      := one (and one)*
    one       := not one | ( condition ) | NAME is [not] missing | NAME in [VALUE, ...] | NAME OP VALUE

Three-valued: a comparison with a missing value is unknown (None), as in SQL; whoever asks decides what unknown means.
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from contract.files import nearest

Value = float | str | bool
Values = Mapping[str, Any]

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'[^']*'|"[^"]*")|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w-])"""
    r"""|(?P<op>==|!=|<=|>=|<|>)|(?P<mark>[()\[\],])|(?P<word>[^\s()\[\],=!<>'"]+))"""
)

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
MOST = 2_000
"""Characters of one condition."""


class ConditionError(ValueError):
    """A condition that cannot be read, or that asks what the project does not know."""


@dataclass(frozen=True, slots=True)
class Compare:
    name: str
    op: str
    value: Value

    def __call__(self, values: Values) -> bool | None:
        held = values.get(self.name)
        sides = None if held is None else _alike(held, self.value)
        if held is not None and sides is None and self.op in ("==", "!="):
            return self.op == "!="
        return None if sides is None else _OPERATORS[self.op](*sides)

    def names(self) -> set[str]:
        return {self.name}


@dataclass(frozen=True, slots=True)
class Among:
    name: str
    values: tuple[Value, ...]

    def __call__(self, values: Values) -> bool | None:
        held = values.get(self.name)
        if held is None:
            return None
        return any(left == right for left, right in filter(None, (_alike(held, value) for value in self.values)))

    def names(self) -> set[str]:
        return {self.name}


@dataclass(frozen=True, slots=True)
class Missing:
    name: str

    def __call__(self, values: Values) -> bool:
        return values.get(self.name) is None

    def names(self) -> set[str]:
        return {self.name}


@dataclass(frozen=True, slots=True)
class Not:
    inner: "Condition"

    def __call__(self, values: Values) -> bool | None:
        held = self.inner(values)
        return None if held is None else not held

    def names(self) -> set[str]:
        return self.inner.names()


@dataclass(frozen=True, slots=True)
class Both:
    left: "Condition"
    right: "Condition"

    def __call__(self, values: Values) -> bool | None:
        sides = self.left(values), self.right(values)
        return False if False in sides else None if None in sides else True

    def names(self) -> set[str]:
        return self.left.names() | self.right.names()


@dataclass(frozen=True, slots=True)
class Either:
    left: "Condition"
    right: "Condition"

    def __call__(self, values: Values) -> bool | None:
        sides = self.left(values), self.right(values)
        return True if True in sides else None if None in sides else False

    def names(self) -> set[str]:
        return self.left.names() | self.right.names()


Condition = Compare | Among | Missing | Not | Both | Either


def parse_condition(text: str) -> Condition:
    """A condition from its text. Raises ConditionError naming the place where reading stopped."""
    if len(text) > MOST:
        raise ConditionError(f"has {len(text):,} characters; at most {MOST:,} are read, so write several conditions")
    reader = _Reader(text)
    try:
        condition = reader.condition()
    except RecursionError:
        raise ConditionError(f"{text[:40]!r}… is nested too deeply") from None
    if reader.token is not None:
        raise reader.error("expected `and`, `or` or the end")
    return condition


def check_condition(text: str, kinds: Mapping[str, str]) -> Condition:
    """Parse, and hold every name and value against what the project knows (name -> number, text, date or boolean)."""
    condition = parse_condition(text)
    unknown = sorted(condition.names() - set(kinds))
    if unknown:
        raise ConditionError(f"knows no {unknown[0]!r}{nearest(unknown[0], kinds)}")
    for compare in _compares(condition):
        values = compare.values if isinstance(compare, Among) else (compare.value,)
        for value in values:
            _check_kind(compare.name, kinds[compare.name], value)
    return condition


def _compares(condition: Condition) -> Iterator[Compare | Among]:
    if isinstance(condition, (Compare, Among)):
        yield condition
    elif isinstance(condition, Not):
        yield from _compares(condition.inner)
    elif isinstance(condition, (Both, Either)):
        yield from _compares(condition.left)
        yield from _compares(condition.right)


def _check_kind(name: str, kind: str, value: Value) -> None:
    given = "boolean" if isinstance(value, bool) else "number" if isinstance(value, float) else "text"
    if given != kind and not (kind == "date" and given == "text") and not (kind == "text" and given == "number"):
        raise ConditionError(f"compares {name}, a {kind}, with the {given} {value!r}")
    if kind == "date" and _moment(value) is None:
        raise ConditionError(f"compares {name}, a date, with {value!r}; write a date as 2026-11-24")


def _alike(held: Any, value: Value) -> tuple[Any, Any] | None:
    """Both sides in the type of the written one: a code written as a number compares as one, a date as a moment.

    None where a number was written and the held text is none.
    """
    if isinstance(value, bool) or isinstance(held, bool):
        return held, value
    if isinstance(value, float):
        try:
            return float(held), value
        except ValueError:
            return None
    moments = _moment(held), _moment(value)
    return (str(held), value) if None in moments else moments


def _moment(text: Any) -> datetime | None:
    """The moment that a written date means; UTC where it names no zone."""
    if not isinstance(text, str) or not _DATE.match(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class _Reader:
    """Recursive descent over the tokens of one condition."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.kind: str | None = None
        self.token: str | None = None
        self._next()

    def error(self, expected: str) -> ConditionError:
        seen = repr(self.token) if self.token is not None else "the end"
        return ConditionError(f"{self.text!r}: {expected}, saw {seen}")

    def condition(self) -> Condition:
        left = self._both()
        while self._take("or"):
            left = Either(left, self._both())
        return left

    def _both(self) -> Condition:
        left = self._one()
        while self._take("and"):
            left = Both(left, self._one())
        return left

    def _one(self) -> Condition:
        if self._take("not"):
            return Not(self._one())
        if self._take("("):
            inner = self.condition()
            self._expect(")")
            return inner
        return self._about(self._name())

    def _about(self, name: str) -> Condition:
        if self._take("is"):
            negated = self._take("not")
            self._expect("missing")
            return Not(Missing(name)) if negated else Missing(name)
        if self._take("in"):
            return Among(name, tuple(self._list()))
        if self.kind != "op" or self.token is None:
            raise self.error("expected == != < <= > >= in or `is missing`")
        op = self.token
        self._next()
        return Compare(name, op, self._value())

    def _list(self) -> Iterator[Value]:
        close = {"[": "]", "(": ")"}.get(self.token or "")
        if close is None:
            raise self.error("expected a list such as [a, b]")
        self._next()
        yield self._value()
        while self._take(","):
            yield self._value()
        self._expect(close)

    def _name(self) -> str:
        if self.kind not in ("word", "text") or self.token is None:
            raise self.error("expected a name")
        name = self.token[1:-1] if self.kind == "text" else self.token
        self._next()
        return name

    def _value(self) -> Value:
        kind, token = self.kind, self.token
        if token is None or kind not in ("word", "text", "number"):
            raise self.error("expected a value")
        self._next()
        if kind == "number":
            return float(token)
        if kind == "word" and token in ("true", "false"):
            return token == "true"
        return token[1:-1] if kind == "text" else token

    def _take(self, word: str) -> bool:
        if self.token != word or self.kind == "text":
            return False
        self._next()
        return True

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self.error(f"expected {word!r}")

    def _next(self) -> None:
        rest = self.text[self.at :]
        match = _TOKEN.match(rest)
        if match is None:
            if rest.strip():
                raise ConditionError(f"{self.text!r}: cannot read {rest.strip()!r}")
            self.kind = self.token = None
            return
        self.at += match.end()
        self.kind = match.lastgroup
        self.token = match[match.lastgroup or 0]
