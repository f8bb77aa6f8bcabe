"""One item's input: every type, good and bad, and whatever JSON may hold."""

import json
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.canonical import canonical
from contract.inputs import InputError, check_external_id, check_groups, check_input, check_shown, from_text
from contract.project import Project

SHA = "sha256:" + "ab" * 32
PROJECT = Project.model_validate(
    {
        "project": "p",
        "input": {
            "type": "tabular",
            "time": "seen_at",
            "features": {
                "amount": {"type": "number"},
                "region": {"type": "category"},
                "vip": {"type": "boolean"},
                "opened": {"type": "date"},
                "note": {"type": "text", "was": "remark"},
                "extra": {"type": "number", "optional": True},
            },
            "show": {
                "page": {"type": "link"},
                "photos": {"type": "image", "many": True},
                "letter": {"type": "file"},
                "tags": {"type": "category", "many": True},
            },
            "groups": ["sex"],
        },
        "labels": ["a", "b"],
        "model": {"uri": "x"},
    }
)
GOOD: dict[str, Any] = {"amount": 1, "region": "north", "vip": True, "opened": "2026-11-24", "note": "hello"}


def checked(**changes: Any) -> dict[str, Any]:
    return check_input(PROJECT, {**GOOD, **changes})


@pytest.mark.parametrize(
    ("name", "given_", "kept"),
    [
        ("amount", 1.5, 1.5),
        ("amount", -3, -3),
        ("amount", 2**53 - 1, 2**53 - 1),
        ("amount", -(2**53) + 1, -(2**53) + 1),
        ("amount", 5e-324, 5e-324),
        ("amount", None, None),
        ("region", "north", "north"),
        ("region", 3, "3"),
        ("region", 3.0, "3"),
        ("region", 1234567.5, "1234567.5"),
        ("region", 0.1, "0.1"),
        ("region", 10**30, str(10**30)),
        ("region", True, "true"),
        ("region", "", ""),
        ("region", "x" * 1000, "x" * 1000),
        ("vip", False, False),
        ("opened", "2026-11-24T13:45:00Z", "2026-11-24T13:45:00Z"),
        ("opened", "2026-11-24T13:45:00.123+02:00", "2026-11-24T13:45:00.123+02:00"),
        ("opened", date(2026, 11, 24), "2026-11-24"),
        ("opened", datetime(2026, 11, 24, 13), "2026-11-24T13:00:00"),
        ("note", "Grüße 😀\n\t", "Grüße 😀\n\t"),
        ("note", "x" * 200_000, "x" * 200_000),
        ("extra", 7, 7),
    ],
)
def test_good_values(name: str, given_: Any, kept: Any) -> None:
    assert checked(**{name: given_})[name] == kept
    assert type(checked(**{name: given_})[name]) is type(kept)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("amount", float("nan"), "send null where the value is missing"),
        ("amount", float("inf"), "send null"),
        ("amount", -float("inf"), "send null"),
        ("amount", 2**53, "beyond 2.53"),
        ("amount", -(2**53), "beyond 2.53"),
        ("amount", 10**400, "beyond 2.53"),
        ("amount", "12", "must be a number, not text '12'"),
        ("amount", True, "not a boolean True"),
        ("amount", [1], "not a list"),
        ("amount", {"a": 1}, "not an object"),
        ("region", float("nan"), "category in text"),
        ("region", ["a"], "not a list"),
        ("region", "x" * 1001, "1,001 characters; at most 1,000"),
        ("region", 10**1200, "characters"),
        ("region", "a\x00b", "NUL"),
        ("region", "a\ud800", "lone surrogate"),
        ("vip", "true", "must be true or false, not text"),
        ("vip", 1, "not a number"),
        ("opened", "24.11.2026", "write it as 2026-11-24"),
        ("opened", 20261124, "write it as"),
        ("opened", "", "write it as"),
        ("opened", "2026-02-30", "write it as"),
        ("opened", "2026-11-24\x0013:00", "write it as|NUL"),
        ("opened", "2026-11-24\ud80013:00:00", "write it as|surrogate"),
        ("opened", "x" * 2_000_000, "write it as|characters"),
        ("note", 5, "must be text, not a number 5"),
        ("note", "x" * 1_000_000, "1,000,000 characters; at most 200,000"),
        ("note", "\x00", "NUL"),
        ("note", "\udfff", "surrogate"),
        ("extra", "x", "must be a number"),
    ],
)
def test_bad_values_name_place_and_mend(name: str, value: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        checked(**{name: value})
    assert caught.value.place == f"input.{name}"
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("raw", [None, [], "text", 5, True, [GOOD]])
def test_an_input_is_an_object(raw: Any) -> None:
    with pytest.raises(InputError, match="must be an object of amount, region"):
        check_input(PROJECT, raw)


def test_what_is_there_and_what_is_not() -> None:
    assert list(checked()) == ["amount", "region", "vip", "opened", "note", "extra"]
    assert checked()["extra"] is None
    with pytest.raises(InputError, match=r"input\.amount: is not there; send a number, or null"):
        check_input(PROJECT, {k: v for k, v in GOOD.items() if k != "amount"})
    with pytest.raises(InputError, match=r"input\.amout: the project has no such feature; nearest is amount"):
        checked(amout=1)


def test_a_renamed_feature_comes_under_either_name() -> None:
    old = {k: v for k, v in GOOD.items() if k != "note"} | {"remark": "old"}
    assert check_input(PROJECT, old)["note"] == "old"
    assert checked(remark="old")["note"] == "hello"


def test_the_time_of_a_case_is_taken_beside_the_features() -> None:
    assert checked(seen_at="2026-11-24")["seen_at"] == "2026-11-24"
    assert "seen_at" not in checked(seen_at=None)
    with pytest.raises(InputError, match=r"input\.seen_at"):
        checked(seen_at="yesterday")


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ({"page": "javascript:alert(1)"}, "must begin with http"),
        ({"page": 5}, "is not a link"),
        ({"page": "https://x/" + "y" * 2000}, "characters"),
        ({"photos": {"blob": SHA}}, "must be a list of image"),
        ({"photos": [{"blob": SHA}, {"blob": "sha256:zz"}]}, r"show\.photos\[1\].*post the bytes"),
        ({"photos": [{"blob": SHA, "more": 1}]}, "post the bytes"),
        ({"letter": SHA}, "post the bytes"),
        ({"letter": {"blob": 5}}, "post the bytes"),
        ({"letter": {"blob": SHA.upper()}}, "post the bytes"),
        ({"tags": "a"}, "must be a list of category, not text"),
        ({"pag": "https://x"}, "shows no such field; nearest is page"),
        ([], "must be an object, not a list"),
    ],
)
def test_shown_fields_that_are_wrong(shown: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_shown(PROJECT, shown)


def test_shown_fields_that_are_right() -> None:
    given_ = {"page": "HTTPS://x", "photos": [{"blob": SHA}, None], "letter": {"blob": SHA}, "tags": ["a", 3, None]}
    assert check_shown(PROJECT, given_) == {**given_, "tags": ["a", "3", None]}
    assert check_shown(PROJECT, None) == check_shown(PROJECT, {}) == {}
    assert check_shown(PROJECT, {"page": None}) == {"page": None}


def test_groups() -> None:
    assert check_groups(PROJECT, {"sex": 1}) == {"sex": "1"}
    assert check_groups(PROJECT, {"sex": None}) == {"sex": None}
    assert check_groups(PROJECT, None) == {}
    for wrong in ({"sx": "f"}, [], {"sex": []}):
        with pytest.raises(InputError):
            check_groups(PROJECT, wrong)


@pytest.mark.parametrize(("value", "text"), [("a", "a"), (5, "5"), (" a ", " a "), (0, "0"), ("ä/😀", "ä/😀")])
def test_ids(value: Any, text: str) -> None:
    assert check_external_id(value) == text


@pytest.mark.parametrize("value", [None, "", "  ", True, 1.5, [], "a\x00", "\ud800", "x" * 501])
def test_what_is_no_id(value: Any) -> None:
    with pytest.raises(InputError, match="external_id"):
        check_external_id(value)


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("number", "1.5", 1.5),
        ("number", " 2 ", 2.0),
        ("number", "1,5", "1,5"),
        ("number", "", None),
        ("number", None, None),
        ("number", "n/a", None),
        ("number", "NaN", None),
        ("number", "1_000", "1_000"),
        ("boolean", "?", None),
        ("date", "unknown", None),
        ("category", "unknown", "unknown"),
        ("text", "n/a", "n/a"),
        ("boolean", "TRUE", True),
        ("boolean", "no", False),
        ("boolean", "perhaps", "perhaps"),
        ("category", " a ", "a"),
        ("date", " 2026-11-24 ", "2026-11-24"),
        ("date", "24.11.2026", "2026-11-24"),
        ("date", "11/24/2026", "11/24/2026"),
        ("text", " a ", " a "),
        ("text", "  ", None),
    ],
)
def test_cells_of_a_table(kind: str, cell: str | None, value: Any) -> None:
    assert from_text(kind, cell) == value


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("12,5", 12.5),
        ("-1.234,56", -1234.56),
        ("1.234", 1234.0),
        ("12.500.000", 12_500_000.0),
        ("0.123", 0.123),
        ("1.5", 1.5),
        ("7,", 7.0),
        ("1,2,3", "1,2,3"),
        ("1.23,4", "1.23,4"),
        ("?", None),
    ],
)
def test_numbers_with_a_decimal_comma(cell: str, value: Any) -> None:
    assert from_text("number", cell, decimal_comma=True) == value
    assert from_text("category", cell, decimal_comma=True) == cell


_any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(["2026-11-24", "\ud800"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=200, deadline=None)
@given(st.fixed_dictionaries({name: _any for name in GOOD}), _any, _any)
def test_whatever_comes_is_refused_or_has_canonical_bytes(raw: dict[str, Any], shown: Any, groups: Any) -> None:
    for check, value in (
        (check_input, raw),
        (check_shown, shown),
        (check_shown, {"tags": shown}),
        (check_groups, {"sex": groups}),
    ):
        try:
            kept = check(PROJECT, value)
        except InputError:
            continue
        assert json.loads(canonical(kept)) == kept
        canonical(kept).encode()


@settings(max_examples=100, deadline=None)
@given(st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_checking_twice_changes_nothing(value: Any) -> None:
    try:
        once = checked(region=value)
    except InputError:
        return
    assert check_input(PROJECT, once) == once
