from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import ModelAddError, ModelLoadError
from inference.own import nodes, outputs
from tests.inference import data
from tests.inference.own import kit

PROJECT = data.project("tabular", ["no", "yes"], {"a": {"type": "number"}})


@pytest.mark.parametrize(
    ("values", "meaning"),
    [
        ([[0.2, 0.8], [1.0, 0.0]], "probabilities"),
        ([[0.2002, 0.8001]], "probabilities"),
        ([[0.2, 0.8], [np.nan, np.nan]], "probabilities"),
        ([[0.3, 0.3, 0.4]], "probabilities"),
        ([[-1.6, -0.2]], "log-odds"),
        ([[2.0, 3.0], [0.5, 0.5]], "log-odds"),
        ([[0.2], [0.9]], "second probability"),
        ([[0.2], [1.9]], "second log-odds"),
        ([[-0.1]], "second log-odds"),
    ],
)
def test_what_answers_mean(values: Any, meaning: str) -> None:
    assert outputs.meaning(np.array(values)) == meaning
    assert outputs.read_meaning(meaning) == meaning


def test_answers_of_no_clear_meaning_are_refused() -> None:
    with pytest.raises(ModelAddError, match=r"do not sum to one, so .* let it return its log-odds, or their softmax"):
        outputs.meaning(np.array([[0.9, 0.9]]))
    for nothing in ([[np.nan, 1.0]], [[np.inf, 1.0]], np.empty((0, 2))):
        with pytest.raises(ModelAddError, match="no row of the sample with numbers"):
            outputs.meaning(np.array(nothing))
    with pytest.raises(ModelLoadError, match="meaning 'odds', which is unknown"):
        outputs.read_meaning("odds")


def test_answers_become_probabilities() -> None:
    odds = np.array([[0.0, 2.0], [-800.0, 800.0], [3.0, 3.0]])
    found = outputs.probabilities(odds, "log-odds")
    assert np.abs(found - kit.softmax(odds)).max() < 1e-15
    logs = np.log(np.array([[0.25, 0.75]]))
    assert np.abs(outputs.probabilities(logs, "log-odds") - [[0.25, 0.75]]).max() < 1e-15
    assert outputs.probabilities(np.array([[0.25]]), "second probability").tolist() == [[0.75, 0.25]]
    one = outputs.probabilities(np.array([[2.0], [-900.0], [900.0], [np.nan]]), "second log-odds")
    assert np.abs(one[:3, 1] - [1 / (1 + np.exp(-2)), 0, 1]).max() < 1e-15
    assert np.isnan(one[3]).all()
    assert np.isnan(outputs.probabilities(np.array([[np.nan, 1.0], [np.inf, 1.0]]), "log-odds")).all(axis=1).tolist() == [
        True,
        True,
    ]


@pytest.mark.parametrize(
    "values", [[1, 2], ["yes", "no"], [[1.0], [2.0], [3.0]], 1.0, [[[1.0]], [[1.0]]], None, [[1.0], [1.0, 2.0]]]
)
def test_answers_that_are_no_table(values: Any) -> None:
    with pytest.raises(outputs.WrongShape, match="answers"):
        outputs.table(values, 2)


def test_one_of_several_outputs() -> None:
    assert outputs.chosen({"loss": 1, "logits": 2, "probs": 3}) == ("logits", 2)
    assert outputs.chosen({"a": 1, "b": 2}) == ("a", 1)
    assert outputs.chosen((5, 6)) == (0, 5)
    assert outputs.chosen(7) == (None, 7)


def test_labels_are_the_models_own_or_those_that_are_given() -> None:
    assert outputs.named(("yes", "no"), (), PROJECT, 2) == ("yes", "no")
    assert outputs.named((), ("yes", "no"), PROJECT, 1) == ("yes", "no")
    assert outputs.named(("0", "1"), ("yes", "no"), PROJECT, 2) == ("yes", "no")
    assert outputs.named(("yes", "no"), ("yes", "no"), PROJECT, 2) == ("yes", "no")
    for own, asked, said in [
        ((), (), "names no labels; name them"),
        (("yes", "no"), ("no", "yes"), "the model itself names its answers yes,no; leave --labels out"),
        ((), ("yes",), "gives 2 answers, and the labels are yes"),
        ((), ("yes", "yes"), "gives 2 answers"),
        ((), ("yes", "maybe"), "maybe is no label of the project, and the model knows yes, maybe"),
    ]:
        with pytest.raises(ModelAddError, match=said):
            outputs.named(own, asked, PROJECT, 2)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1"), (1.0, "1"), (np.int64(1), "1"), (np.float32(0.0), "0"), (True, "true"), (np.bool_(False), "false"), ("x", "x")],
)
def test_labels_as_text(value: Any, text: str) -> None:
    assert outputs.as_label(value) == text


def test_rows_that_raise_are_left_out_and_wrong_shapes_are_not() -> None:
    def run(rows: Any) -> Any:
        if 3 in rows:
            raise RuntimeError("three\nis bad")
        return np.array([[float(n), 1.0] for n in rows])

    assert outputs.tried(run, range(6))[:, 0].tolist() == [0, 1, 2, 4, 5]
    with pytest.raises(ModelAddError, match=r"answers no row of the sample: RuntimeError: three$"):
        outputs.tried(run, [3])
    with pytest.raises(ModelAddError, match="there are no rows"):
        outputs.tried(run, [])
    with pytest.raises(ModelAddError, match=r"cannot be taken: .*shape \(1,\) for 2 rows"):
        outputs.tried(lambda rows: outputs.table(np.ones(1), len(rows)), [1, 2])

    def uneven(rows: Any) -> Any:
        if len(rows) > 1:
            raise RuntimeError
        return np.ones((1, 1 + rows[0]))

    with pytest.raises(ModelAddError, match="gives 1 and 2 answers a row"):
        outputs.tried(uneven, [0, 1])


@given(st.binary(max_size=200))
def test_bytes_of_no_graph_are_no_graph(content: bytes) -> None:
    try:
        found = nodes.facts(content)
    except nodes.NotOnnx:
        return
    assert isinstance(found, nodes.Facts)
