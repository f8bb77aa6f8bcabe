"""Whatever is asked, what holds is never looser than what was granted."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.policy import Policy
from review_queue import terms
from review_queue.terms import Terms, called, loosens, nothing, stricter, unit, units

LABELS = ("deny", "pay")
_at = st.sampled_from([None, 0.0, 0.5, 0.9, 1.0])


def held(**policy: Any) -> Terms:
    return terms.terms(Policy.model_validate({"autonomy": "set", "automate": {"at_least": 0.9}, **policy}), LABELS)


@st.composite
def any_terms(draw: st.DrawFn) -> Terms:
    own = draw(st.dictionaries(st.sampled_from(LABELS), _at, max_size=2))
    default = draw(_at)
    return replace(
        held(),
        autonomy=draw(st.sampled_from(["set", "earned"])),
        score=draw(st.sampled_from(["max_probability", "margin"])),
        thresholds={label: own.get(label, default) for label in draw(st.sampled_from([LABELS, ("pay",), (*LABELS, "ask")]))},
        own=own,
        vetoes=tuple(draw(st.lists(st.sampled_from(["amount > 5", "region is missing"]), max_size=2, unique=True))),
        strange=draw(st.sampled_from([None, 0.01, 0.05])),
        audit_rate=draw(st.sampled_from([0.0, 0.05, 0.25])),
        max_error=draw(st.sampled_from([0.01, 0.05])),
        signers=draw(st.sampled_from([1, 2])),
        on_alarm=draw(st.sampled_from(["review", "notice"])),
    )


@settings(max_examples=500, deadline=None)
@given(any_terms(), any_terms())
def test_the_stricter_is_no_looser_than_either(asked: Terms, granted: Terms) -> None:
    found = stricter(asked, granted)
    assert loosens(found, granted) == ()
    if asked.score == granted.score:
        assert loosens(found, asked) == ()
    assert {label for label, at in asked.thresholds.items() if at is None} <= {
        label for label, at in found.thresholds.items() if at is None
    }


@settings(max_examples=200, deadline=None)
@given(any_terms())
def test_terms_are_no_looser_than_themselves_and_survive_json(asked: Terms) -> None:
    assert loosens(asked, asked) == ()
    assert stricter(asked, asked) == asked
    assert Terms.of_json(asked.to_json()) == asked


@pytest.mark.parametrize(
    ("asked", "granted", "why"),
    [
        (held(automate={"at_least": 0.8}), held(), "everything acts alone from 0.8 instead of 0.9"),
        (held(), held(automate={"at_least": "off"}), "everything acts alone from 0.9"),
        (held(automate={"at_least": 0.9, "per_label": {"deny": 0.5}}), held(), "deny acts alone from 0.5 instead of 0.9"),
        (held(), held(automate={"at_least": 0.9, "never": ["amount > 5"]}), "no longer kept from acting alone: amount > 5"),
        (
            held(),
            held(automate={"at_least": 0.9, "strange": 0.01}),
            "more of what is unlike anything the model learned from acts alone",
        ),
        (held(audit={"rate": 0.01}), held(), "0.01 instead of 0.05 of what acts alone is spot-checked"),
        (held(), held(evidence={"signers": 2}), "1 instead of 2 sign a rise"),
        (held(evidence={"on_alarm": "notice"}), held(), "an alarm only gives notice"),
        (held(evidence={"max_error": 0.05}), held(), "errors of 0.05 instead of 0.01 are held to be fit"),
        (held(), held(autonomy="earned"), "thresholds act as written instead of as far as evidence goes"),
    ],
)  # fmt: skip
def test_why_it_is_looser_is_said(asked: Terms, granted: Terms, why: str) -> None:
    assert loosens(asked, granted) == (why,)
    assert loosens(granted, asked) == ()


def test_another_score_cannot_be_held_against_this_one() -> None:
    asked = held(score="margin", automate={"at_least": 0.5})
    assert loosens(asked, held()) == ("confidence is margin instead of max_probability",)
    assert loosens(held(), asked) == ("confidence is max_probability instead of margin",)
    found = stricter(asked, held())
    assert (found.score, found.thresholds) == ("max_probability", held().thresholds)


def test_before_anybody_signed_nothing_acts() -> None:
    assert not nothing(held()).acts
    assert not stricter(held(), nothing(held())).acts


def test_where_only_single_labels_act_the_others_are_no_evidence() -> None:
    assert held(automate={"per_label": {"pay": 0.8}}).own == {"deny": None, "pay": 0.8}
    assert held(automate={"at_least": "off"}).own == {}


def test_units_are_segments_and_labels() -> None:
    both = held(evidence={"segments": {"big": "amount > 5"}, "by_label": True})
    assert units(both) == ["big:deny", "big:pay", ":deny", ":pay"]
    assert units(held()) == [""]
    assert [called(each) for each in ("", "big", ":pay", "big:pay", terms.WHOLE)] == [
        "all cases",
        "big",
        "pay",
        "pay in big",
        "the project",
    ]
    assert called("", ["big"]) == "all other cases"
    assert unit("big", None) == "big"


def test_another_label_is_another_family_of_ledgers() -> None:
    apart, fewer = held(evidence={"by_label": True}), terms.terms(Policy(autonomy="earned"), ["deny"])
    assert apart.frozen() != replace(apart, thresholds=fewer.thresholds).frozen()
    together = replace(apart, by_label=False)
    assert together.frozen() == replace(together, thresholds=fewer.thresholds).frozen()
