"""A prediction that comes with its item: taken as it was sent, or refused with the place and the mend."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.canonical import canonical
from contract.given import Given, check_prediction, explanation, keep, read_given, refuse_prediction
from contract.inputs import InputError
from contract.project import Project
from tests import elsewhere, factories

ROW = {"amount": 120.5, "region": "north", "opened": None}
CHANCES = {"deny": 0.25, "pay": 0.75}


def check(said: Any, project: Project | None = None, row: Any = None) -> dict[str, Any] | None:
    return check_prediction(project or elsewhere.project(), said, row or ROW)


def messages() -> Project:
    return factories.project(project="messages", input={"type": "text"}, model={"uri": "external", "version": "v"})


def stored(project: Project, said: Any, row: Any = None) -> Given:
    checked = check(said, project, row)
    assert checked is not None
    return read_given(canonical(keep(project, checked)))


def test_what_was_sent_reads_back_as_it_was() -> None:
    held = stored(elsewhere.project(), {"probabilities": {"pay": 0.7, "deny": 0.3}, "model_version": "r7"})
    assert held == Given("r7", {"deny": 0.3, "pay": 0.7}, None)
    assert held.prediction(("deny", "pay")).probabilities == (0.3, 0.7)
    assert held.prediction(("pay", "deny")).label == "pay"
    assert check(None) is None


def test_absent_labels_are_zero_and_zero_is_absent() -> None:
    three = elsewhere.project(labels=["deny", "pay", "ask"])
    some, every = ({"probabilities": each} for each in ({"ask": 1}, {"deny": 0, "ask": 1.0, "pay": -0.0}))
    assert canonical(check(some, three)) == canonical(check(every, three))
    assert stored(three, some).prediction(("deny", "pay", "ask")).probabilities == (0.0, 0.0, 1.0)


def test_the_version_falls_back_to_that_of_the_project_and_is_kept() -> None:
    checked = check({"probabilities": CHANCES})
    assert checked == {"probabilities": CHANCES}  # as it was sent: what makes it the same item when it is sent again
    assert keep(elsewhere.project(), checked)["model_version"] == elsewhere.VERSION
    assert stored(elsewhere.project(version=None), {"probabilities": CHANCES, "model_version": 7}).model_version == "7"


@given(st.lists(st.floats(1e-9, 1.0), min_size=2, max_size=2))
def test_probabilities_are_kept_to_the_last_bit(weights: list[float]) -> None:
    p = weights[0] / sum(weights)
    held = stored(elsewhere.project(), {"probabilities": {"deny": p, "pay": 1 - p}})
    assert held.prediction(("deny", "pay")).probabilities == (p, 1 - p)


BAD: list[tuple[Any, str]] = [
    ([0.2, 0.8], "prediction: must be an object with probabilities, model_version, reasons"),
    ("pay", "prediction: must be an object"),
    ({"probability": CHANCES}, r"prediction\.probability: is no part of prediction; nearest is probabilities"),
    ({}, r"prediction\.probabilities: must be an object of label and probability"),
    ({"probabilities": [0.2, 0.8]}, "a list says of no number whose it is"),
    ({"probabilities": {}}, "must be an object of label and probability"),
    ({"probabilities": {"pay": 0.5, "dney": 0.5}}, r"probabilities\.dney: is no label of claims; nearest is deny"),
    ({"probabilities": {"pay": 0.5, "deny": 0.4}}, "sum to 0.9, not to 1"),
    ({"probabilities": {"pay": 0.6, "deny": 0.402}}, "sum to 1.002, not to 1"),
    ({"probabilities": {"pay": 1.5, "deny": -0.5}}, r"probabilities\.deny: -0.5 is no probability"),
    ({"probabilities": {"pay": float("nan"), "deny": 1}}, r"probabilities\.pay: nan is no number"),
    ({"probabilities": {"pay": float("inf"), "deny": 1}}, r"probabilities\.pay: inf is no number"),
    ({"probabilities": {"pay": 10**400, "deny": 1}}, r"probabilities\.pay: inf is no number"),
    ({"probabilities": {"pay": "0.8", "deny": 0.2}}, r"probabilities\.pay: must be a number, not '0.8'"),
    ({"probabilities": {"pay": True, "deny": 0}}, r"probabilities\.pay: must be a number, not True"),
    ({"probabilities": {"pay": None, "deny": 1}}, r"probabilities\.pay: must be a number, not None"),
    *(
        ({"probabilities": CHANCES, "model_version": bad}, r"prediction\.model_version: must be the name of a model version")
        for bad in ("", "  ", "a\nb", "x" * 101, "a\x00", "\ud800", 1.5, True, ["v"])
    ),
    *(
        ({"probabilities": CHANCES, "reasons": bad}, words)
        for bad, words in (
            ({}, r"reasons\.contributions: must be a list"),
            ([], r"reasons\.contributions: must be a list"),
            ("high amount", "reasons: must be an object with contributions"),
            ({"contributions": [], "why": 1}, r"reasons\.why: is no part"),
            ([{"feature": "amout", "contribution": 1}], r"contributions\[0\]\.feature: is no feature .* nearest is amount"),
            ([{"feature": ["amount"], "contribution": 1}], r"contributions\[0\]\.feature: is no feature"),
            ([{"feature": "amount"}], r"contributions\[0\]\.contribution: must be a number, not None"),
            ([{"feature": "amount", "contribution": float("nan")}], r"contributions\[0\]\.contribution: nan is no number"),
            ([{"feature": "amount", "contribution": 1, "value": 3}], r"contributions\[0\]\.value: is no part"),
            ([{"feature": "amount", "contribution": 1}] * 2, r"contributions\[1\]\.feature: amount stands twice"),
            ([{"start": 0, "end": 3, "contribution": 1}], r"contributions\[0\]\.start: is no part"),
            (["amount"], r"contributions\[0\]: must be an object with feature, contribution"),
            ([{"feature": "amount", "contribution": 1}] * 2001, "has 2,001 parts; at most 2,000"),
            ({"contributions": [{"feature": "amount", "contribution": 1}], "unit": "odds"}, r"reasons\.unit: 'odds' is no unit"),
            (
                {"contributions": [{"feature": "amount", "contribution": 1}], "label": "payy"},
                r"reasons\.label: .* nearest is pay",
            ),
            ({"contributions": [{"feature": "amount", "contribution": 1}], "label": []}, r"reasons\.label: is no label"),
            ({"contributions": [{"feature": "amount", "contribution": 1}], "method": "x" * 61}, r"reasons\.method: must be a"),
            ({"contributions": [{"feature": "amount", "contribution": 1}], "base": "0"}, r"reasons\.base: must be a number"),
        )
    ),
]


@pytest.mark.parametrize(("said", "words"), BAD)
def test_what_is_no_prediction_is_refused_with_the_place(said: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check(said)


def test_the_sum_may_miss_one_by_a_rounding() -> None:
    assert stored(elsewhere.project(), {"probabilities": {"deny": 0.3334, "pay": 0.6667}}).probabilities["pay"] == 0.6667


def test_without_any_version_there_is_no_telling_whose_it_is() -> None:
    with pytest.raises(InputError, match=r"prediction\.model_version: is not there, and project\.yaml has no model\.version"):
        check({"probabilities": CHANCES}, elsewhere.project(version=None))


def test_a_project_that_asks_its_own_model_takes_none() -> None:
    refuse_prediction(factories.project(), None)
    with pytest.raises(InputError, match=r"prediction: is taken only where .* leave it out"):
        refuse_prediction(factories.project(), {"probabilities": CHANCES})


def test_reasons_of_a_table_stand_in_the_projects_order_with_its_values() -> None:
    parts = [{"feature": "region", "contribution": -1}, {"feature": "amount", "contribution": 2.5}]
    said = {"contributions": parts, "method": " their TreeSHAP ", "unit": "log-odds", "base": 0.5}
    held = stored(elsewhere.project(), {"probabilities": CHANCES, "reasons": said})
    found = explanation(elsewhere.project(), held, ROW)
    assert found is not None
    assert (found.method, found.label, found.unit, found.base, found.quality) == ("producer", "pay", "log-odds", 0.5, {})
    assert found.contributions == [
        {"feature": "amount", "value": 120.5, "contribution": 2.5},
        {"feature": "region", "value": "north", "contribution": -1.0},
    ]
    assert found.params == {"method": "their TreeSHAP", "model_version": elsewhere.VERSION}


def test_a_list_of_contributions_speaks_for_the_leading_label_in_no_unit() -> None:
    said = {"probabilities": {"deny": 0.9, "pay": 0.1}, "reasons": [{"feature": "amount", "contribution": 1}]}
    found = explanation(elsewhere.project(), stored(elsewhere.project(), said), ROW)
    assert found is not None
    assert (found.label, found.unit, found.base, found.params["method"]) == ("deny", None, None, None)


def test_a_renamed_feature_is_known_under_its_old_name() -> None:
    features = {"area": {"type": "category", "was": "region"}}
    renamed = elsewhere.project(input={"type": "tabular", "features": features})
    checked = check({"probabilities": CHANCES, "reasons": [{"feature": "region", "contribution": 1}]}, renamed)
    assert checked is not None
    assert checked["reasons"]["contributions"] == [{"feature": "area", "contribution": 1.0}]


def test_reasons_of_a_text_are_stretches_in_reading_order() -> None:
    row = {"text": "free 🎁 now"}
    parts = [{"start": 7, "end": 10, "contribution": -1}, {"start": 0, "end": 6, "contribution": 2}]
    found = explanation(messages(), stored(messages(), {"probabilities": CHANCES, "reasons": parts}, row), row)
    assert found is not None
    assert [(part["text"], part["contribution"]) for part in found.contributions] == [("free 🎁", 2.0), ("now", -1.0)]
    assert found.modality == "text"


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([{"start": 0, "end": 99, "contribution": 1}], "0 <= start < end <= 10, the text's length"),
        ([{"start": 3, "end": 3, "contribution": 1}], "start < end"),
        ([{"start": -1, "end": 3, "contribution": 1}], "start < end"),
        ([{"start": 0.0, "end": 3, "contribution": 1}], "whole numbers"),
        ([{"start": False, "end": 3, "contribution": 1}], "whole numbers"),
        ([{"start": 0, "contribution": 1}], "whole numbers"),
        ([{"feature": "text", "contribution": 1}], r"\[0\]\.feature: is no part"),
        ([{"start": 0, "end": 5, "contribution": 1}, {"start": 4, "end": 6, "contribution": 1}], "overlap at character 4"),
    ],
)
def test_stretches_that_are_none_are_refused(parts: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check({"probabilities": CHANCES, "reasons": parts}, messages(), {"text": "free gifts"})


def test_reasons_of_images_are_not_taken_so_far() -> None:
    images = factories.project(project="digits", input={"type": "image"}, model={"uri": "external", "version": "v"})
    with pytest.raises(InputError, match=r"prediction\.reasons: are not taken of images so far; leave them out"):
        check({"probabilities": CHANCES, "reasons": [{"feature": "image", "contribution": 1}]}, images, {"image": {}})


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda each: st.lists(each) | st.dictionaries(
    st.sampled_from(["probabilities", "model_version", "reasons", "contributions", "feature", "start", "deny", "pay"]), each
), max_leaves=8))  # fmt: skip
def test_whatever_is_sent_is_taken_or_refused(said: Any) -> None:
    try:
        held = check(said)
    except InputError:
        return
    assert held is None or set(held["probabilities"]) <= {"deny", "pay"}
