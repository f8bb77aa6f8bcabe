"""Canonical JSON against the examples of RFC 8785."""

import json
import math
import struct

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.canonical import canonical, content_hash, digest, listed


def test_the_example_of_section_3_2_2() -> None:
    given_ = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": '€$\u000f\nA\'B"\\\\"/',
        "literals": [None, True, False],
    }
    wanted = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical(given_) == wanted


def test_keys_are_sorted_by_utf16_code_units() -> None:
    given_ = {"€": "Euro", "\r": "CR", "\ufb33": "Dalet", "1": "One", "😀": "Smiley", "\u0080": "Control", "ö": "o"}
    order = ["CR", "One", "Control", "o", "Euro", "Smiley", "Dalet"]
    text = canonical(given_)
    assert sorted(order, key=text.index) == order


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        (0x0000000000000000, "0"),
        (0x8000000000000000, "0"),
        (0x0000000000000001, "5e-324"),
        (0x7FEFFFFFFFFFFFFF, "1.7976931348623157e+308"),
        (0x4340000000000000, "9007199254740992"),
        (0x44B52D02C7E14AF5, "9.999999999999997e+22"),
        (0x44B52D02C7E14AF6, "1e+23"),
        (0x3EB0C6F7A0B5ED8D, "0.000001"),
        (0x41B3DE4355555553, "333333333.3333332"),
        (0xBECBF647612F3696, "-0.0000033333333333333333"),
        (0x43143FF3C1CB0959, "1424953923781206.2"),
    ],
)
def test_numbers_of_appendix_b(bits: int, text: str) -> None:
    assert canonical(struct.unpack(">d", struct.pack(">Q", bits))[0]) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2**53, -(2**53), "\ud800", {"a": [math.nan]}])
def test_what_json_cannot_hold_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        canonical(value)


def test_the_hash_is_that_of_the_bytes() -> None:
    assert digest("abc") == digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert content_hash({"b": 1, "a": "ä"}) == digest('{"a":"ä","b":1}'.encode())


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-(2.0**52), 2.0**52) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(_json)
def test_equal_values_have_one_text_that_reads_back(value: object) -> None:
    text = canonical(value)
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text


_key = st.text(
    st.characters(codec="utf-8") | st.sampled_from('aé\ud7ff\ue000\uffff\U00010000😀\x00\x1f\x7f"\\\u2028'), max_size=4
)
_anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**53 - 2, 2**53 + 2)
    | st.floats()
    | st.floats(-1e6, 1e6).map(lambda x: round(x, 2))
    | st.integers(-(10**22), 10**22).map(float)
    | st.floats(1e-8, 1e-3)
    | st.text(st.characters())  # lone surrogates too
    | _key,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(_key, inner, max_size=4)
        | st.dictionaries(st.integers() | st.none(), inner, min_size=1, max_size=2)
    ),
    max_leaves=12,
)


@settings(max_examples=1_000, deadline=None)
@given(_anything)
def test_the_bytes_are_those_of_the_reference_or_both_refuse(value: object) -> None:
    try:
        wanted = rfc8785.dumps(value).decode()  # type: ignore[arg-type]
    except ValueError:
        with pytest.raises(ValueError, match=r".+"):
            canonical(value)
        return
    assert canonical(value) == wanted


@pytest.mark.parametrize("value", [{1: "a"}, {"a": 1, 2: 3}, {None: 1}, {"a"}, b"bytes", object()])
def test_what_is_no_json_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        canonical(value)


def test_a_list_is_put_together_from_the_texts_of_its_parts() -> None:
    assert listed([canonical({"b": 1.0}), canonical("ä"), canonical(None)]) == canonical([{"b": 1.0}, "ä", None])
