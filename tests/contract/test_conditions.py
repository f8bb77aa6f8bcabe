"""Conditions: grammar, precedence, three-valued logic; nothing is ever run as code."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.conditions import (
    MOST,
    Among,
    Both,
    Compare,
    Condition,
    ConditionError,
    Either,
    Missing,
    Not,
    check_condition,
    parse_condition,
)

KINDS = {"amount": "number", "region": "text", "opened": "date", "vip": "boolean", "label": "text", "confidence": "number"}


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("amount > 50000", Compare("amount", ">", 50000.0)),
        ("amount>-5.5e3", Compare("amount", ">", -5500.0)),
        ("region is missing", Missing("region")),
        ("region is not missing", Not(Missing("region"))),
        ("region in [north, 'far east', 3]", Among("region", ("north", "far east", 3.0))),
        ("region in (north)", Among("region", ("north",))),
        ("vip == true", Compare("vip", "==", True)),
        ("vip == 'true'", Compare("vip", "==", "true")),
        ("opened < 2026-11-24", Compare("opened", "<", "2026-11-24")),
        ("a == \"O'Brien'\"", Compare("a", "==", "O'Brien'")),
        ("'my amount' >= 3", Compare("my amount", ">=", 3.0)),
        ("'in' != x", Compare("in", "!=", "x")),
        ("größe < 3", Compare("größe", "<", 3.0)),
        ("not a is missing", Not(Missing("a"))),
        ("not not a is missing", Not(Not(Missing("a")))),
        ("a == 1 or b == 2 and c == 3", Either(Compare("a", "==", 1.0), Both(Compare("b", "==", 2.0), Compare("c", "==", 3.0)))),
        (
            "(a == 1 or b == 2) and c == 3",
            Both(Either(Compare("a", "==", 1.0), Compare("b", "==", 2.0)), Compare("c", "==", 3.0)),
        ),
        ("not a == 1 and b == 2", Both(Not(Compare("a", "==", 1.0)), Compare("b", "==", 2.0))),
        ("a == 1 or b == 2 or c == 3", Either(Either(Compare("a", "==", 1.0), Compare("b", "==", 2.0)), Compare("c", "==", 3.0))),
    ],
)
def test_grammar_and_precedence(text: str, parsed: Condition) -> None:
    assert parse_condition(text) == parsed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a name, saw the end"),
        ("amount", "expected == != < <= > >= in"),
        ("amount >", "expected a value, saw the end"),
        ("amount > 5 5", "expected `and`, `or` or the end, saw '5'"),
        ("amount > 5 and", "expected a name, saw the end"),
        ("(amount > 5", r"expected '\)', saw the end"),
        ("amount > 5)", r"saw '\)'"),
        ("amount = 5", "cannot read '= 5'"),
        ("amount in 5", "expected a list"),
        ("amount in []", r"expected a value, saw '\]'"),
        ("amount in [1, 2", r"expected '\]'"),
        ("amount is 5", "expected 'missing', saw '5'"),
        ("amount == 'open", "cannot read"),
        ("5 > amount", "expected a name, saw '5'"),
        ("amount > 5; import os", "saw ';'|cannot read|saw"),
        ("(" * 1900, "nested too deeply|expected"),
        ("a == 1 or " * 400, "at most 2,000"),
    ],
)
def test_what_cannot_be_read_is_shown_with_its_place(text: str, words: str) -> None:
    with pytest.raises(ConditionError, match=words):
        parse_condition(text)


def test_deep_nesting_is_an_error_and_no_crash() -> None:
    half = MOST // 2 - 10
    with pytest.raises(ConditionError, match="too deeply"):
        parse_condition("(" * half + "a is missing" + ")" * half)


@pytest.mark.parametrize(
    "text", ["__import__('os').system('true') == 1", "a.__class__ == 1", "f(x) == 1", "[] == 1", "lambda: 1"]
)
def test_nothing_is_code(text: str) -> None:
    try:
        condition = parse_condition(text)
    except ConditionError:
        return
    assert condition({}) is None  # an attribute path is just a name that nothing has


U = None
T, F = True, False


@pytest.mark.parametrize(
    ("left", "right", "both", "either"),
    [
        (T, T, T, T),
        (T, F, F, T),
        (T, U, U, T),
        (F, F, F, F),
        (F, U, F, U),
        (U, U, U, U),
        (F, T, F, T),
        (U, T, U, T),
        (U, F, F, U),
    ],
)
def test_three_valued_logic(left: bool | None, right: bool | None, both: bool | None, either: bool | None) -> None:
    values = {"a": left, "b": right}
    assert parse_condition("a == true and b == true")(values) is both
    assert parse_condition("a == true or b == true")(values) is either
    assert parse_condition("not a == true")(values) is (None if left is None else not left)


@pytest.mark.parametrize(
    ("text", "values", "holds"),
    [
        ("amount > 50000", {"amount": 50001}, True),
        ("amount > 50000", {"amount": 50000}, False),
        ("amount >= 50000", {"amount": 50000}, True),
        ("amount < 1", {"amount": 0.5}, True),
        ("amount <= 1", {"amount": 1}, True),
        ("amount != 1", {"amount": 1.0}, False),
        ("amount > 50000", {"amount": None}, None),
        ("amount > 50000", {}, None),
        ("region is missing", {"region": None}, True),
        ("region is missing", {"region": ""}, False),
        ("region is not missing", {}, False),
        ("region in [north, south]", {"region": "south"}, True),
        ("region in [north, south]", {"region": "east"}, False),
        ("region in [north, south]", {}, None),
        ("region == 5", {"region": "5"}, True),
        ("region == 5", {"region": "north"}, False),
        ("region != 5", {"region": "north"}, True),
        ("region < 5", {"region": "north"}, None),
        ("region in [5, north]", {"region": "north"}, True),
        ("region in [5]", {"region": "north"}, False),
        ("label == 1", {"label": "no"}, False),
        ("vip == true", {"vip": False}, False),
        ("vip != true", {"vip": False}, True),
        ("opened < 2026-11-24", {"opened": "2026-11-23T23:59:59Z"}, True),
        ("opened < 2026-11-24", {"opened": "20261123"}, False),
        ("opened < 2026-11-24", {"opened": "2026-11-24"}, False),
        ("opened > 2026-11-24", {"opened": "2026-11-23T22:00:00-05:00"}, True),
        ("opened == 2026-11-24", {"opened": "2026-11-24T00:00:00Z"}, True),
        ("opened == 2026-11-24", {"opened": "2026-11-24T00:00:00+00:00"}, True),
    ],
)
def test_values(text: str, values: dict[str, object], holds: bool | None) -> None:
    assert parse_condition(text)(values) is holds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("amout > 5", "knows no 'amout'; nearest is amount"),
        ("xyz > 5", "known: amount"),
        ("amount > high", "compares amount, a number, with the text 'high'"),
        ("vip == 1", "compares vip, a boolean, with the number"),
        ("vip == yes", "a boolean, with the text 'yes'"),
        ("region == true", "a text, with the boolean"),
        ("opened > 5", "a date, with the number"),
        ("opened > banana", "write a date as 2026-11-24"),
        ("opened > 2026-13-01", "write a date as 2026-11-24"),
        ("amount in [1, two]", "with the text 'two'"),
        ("not (amount > 1 and regon == a)", "nearest is region"),
    ],
)
def test_names_and_kinds_are_held_against_the_project(text: str, words: str) -> None:
    with pytest.raises(ConditionError, match=words):
        check_condition(text, KINDS)


@pytest.mark.parametrize(
    "text", ["region == 5", "region in [1, a]", "opened >= 2026-11-24T10:00:00Z", "label != deny and confidence < 0.99"]
)
def test_what_fits_is_taken(text: str) -> None:
    assert check_condition(text, KINDS) == parse_condition(text)


def written(condition: Condition) -> str:
    if isinstance(condition, Compare):
        return f"'{condition.name}' {condition.op} {_value(condition.value)}"
    if isinstance(condition, Among):
        return f"'{condition.name}' in [{', '.join(map(_value, condition.values))}]"
    if isinstance(condition, Missing):
        return f"'{condition.name}' is missing"
    if isinstance(condition, Not):
        return f"not ({written(condition.inner)})"
    return f"({written(condition.left)}) {'and' if isinstance(condition, Both) else 'or'} ({written(condition.right)})"


def _value(value: float | str | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else f'"{value}"'


_names = st.text(st.characters(exclude_characters="'", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
_texts = st.text(st.characters(exclude_characters='"', exclude_categories=["Cs", "Cc"]), max_size=8)
_values = st.floats(allow_nan=False, allow_infinity=False) | _texts | st.booleans()
_leaves = (
    st.builds(Compare, _names, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), _values)
    | st.builds(Among, _names, st.lists(_values, min_size=1, max_size=3).map(tuple))
    | st.builds(Missing, _names)
)
_conditions = st.recursive(
    _leaves, lambda inner: st.builds(Not, inner) | st.builds(Both, inner, inner) | st.builds(Either, inner, inner), max_leaves=6
)


@settings(max_examples=150, deadline=None)
@given(_conditions)
def test_what_is_written_reads_back(condition: Condition) -> None:
    assert parse_condition(written(condition)) == condition


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConditionError):
        parse_condition(text)


@settings(max_examples=100, deadline=None)
@given(_names, st.text(max_size=10) | st.integers() | st.booleans() | st.none(), st.floats(allow_nan=False) | _texts)
def test_no_value_that_an_item_may_hold_stops_a_comparison(name: str, held: object, value: float | str) -> None:
    for op in ("==", "!=") if isinstance(held, bool) else ("==", "!=", "<", "<=", ">", ">="):
        assert Compare(name, op, value)({name: held}) in (True, False, None)
