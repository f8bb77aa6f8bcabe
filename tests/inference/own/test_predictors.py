"""Brought models behind one Predictor: bad rows told apart, values kept, and views that explain the model's own answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from contract.predictors import Floats, ImageModel, TableModel, TextModel
from contract.project import Feature
from contract.records import Prediction, Unscored, Unshowable
from explain.catalog import explainers_for
from inference.own import cells
from inference.own.engine import Format
from inference.own.predictors import Own, OwnCard, own
from tests.inference import data

LABELS = ("no", "yes")
FEATURES = {
    "x": Feature(type="number"),
    "whole": Feature(type="number", optional=True),
    "kind": Feature(type="category"),
    "ok": Feature(type="boolean"),
    "day": Feature(type="date"),
    "at": Feature(type="date"),
    "note": Feature(type="text"),
}


@dataclass
class Asked:
    """An engine around a function of its inputs; keeps what it was given."""

    answer: Any
    labels: tuple[str, ...] = LABELS
    format: Format = "python"

    def probabilities(self, inputs: Any) -> Floats:
        self.inputs = inputs
        return self.answer(inputs)  # type: ignore[no-any-return]

    def settings(self) -> dict[str, Any]:
        return {}

    def files(self) -> dict[str, bytes]:
        return {}

    def said(self) -> Sequence[str]:
        return ()


def row(n: int, **other: Any) -> dict[str, Any]:
    held = {
        "x": n / 7, "whole": n, "kind": "abc"[n % 3], "ok": n % 2 == 0, "day": f"2026-01-{1 + n % 28:02}",
        "at": f"2026-01-{1 + n % 28:02}T10:30:00.25+00:00", "note": f"some words {n % 4}",
    }  # fmt: skip
    return {**held, **other}


ROWS = tuple(row(n) for n in range(40))


def table(answer: Any, features: dict[str, Feature] | None = None, rows: Sequence[Any] = ROWS) -> Any:
    held = features or FEATURES
    return own(OwnCard("own:python", "tabular", LABELS, held), Asked(answer), tuple(rows))


def of(p: Any) -> Floats:
    yes = np.asarray(p, dtype=np.float64)
    return np.column_stack([1 - yes, yes])


def half(inputs: Any) -> Floats:
    return of([0.5 for _ in inputs["x"]])


def test_values_are_the_rows_own() -> None:
    predictor = table(half)
    predictor.predict(ROWS[:3])
    assert {name: list(values) for name, values in predictor.engine.inputs.items()} == {
        name: [each[name] for each in ROWS[:3]] for name in FEATURES
    }


def test_view_gives_the_same_values_back() -> None:
    predictor = table(half)
    assert isinstance(predictor, TableModel)
    predictor.table_probabilities(predictor.encode(ROWS))
    seen = {tuple(row) for row in zip(*predictor.engine.inputs.values(), strict=True)}
    told = {tuple(each.values()) for each in ROWS}
    assert {each[:5] for each in seen} == {each[:5] for each in told}
    assert {each[6] for each in seen} == {each[6] for each in told}
    assert all(type(each[1]) is int and type(each[0]) is float and type(each[3]) is bool for each in seen)
    assert {each[5] for each in seen} == {f"2026-01-{1 + n:02}T10:30:00.250000+00:00" for n in range(28)}


@pytest.mark.parametrize(
    ("values", "form", "back"),
    [
        (["2026-01-02T03:04:05"], "naive", ["2026-01-02T03:04:05"]),
        (["2026-01-02T03:04:05+02:00"], "zoned", ["2026-01-02T01:04:05+00:00"]),
        (["2026-01-02", None], "day", ["2026-01-02", None]),
        (["0001-01-01", "9999-12-31"], "day", ["0001-01-01", "9999-12-31"]),
    ],
)
def test_dates_are_written_as_the_sample_writes_them(values: list[Any], form: str, back: list[Any]) -> None:
    features = {"at": Feature(type="date")}
    predictor = table(lambda inputs: of([0.5 for _ in inputs["at"]]), features, [{"at": value} for value in values])
    assert cells.forms(predictor.columns, predictor.background) == {"at": form}
    predictor.table_probabilities(predictor.encode(predictor.background))
    assert sorted(predictor.engine.inputs["at"], key=str) == sorted(back, key=str)


def test_column_of_few_values_is_a_sequence_like_any_other() -> None:
    column = cells.Coded(np.array([0, 1, -1, 0]), ("a", "b"))
    assert list(column) == ["a", "b", None, "a"] == [column[n] for n in range(4)]
    assert list(column[1:3]) == ["b", None]
    assert len(column) == 4


def test_category_that_no_row_had_reaches_the_model_with_its_value() -> None:
    predictor = table(lambda inputs: of([0.9 if each == "new" else 0.2 for each in inputs["kind"]]))
    strange = row(5, kind="new")
    assert predictor.predict([strange])[0].of("yes") == 0.9
    for explainer in explainers_for(predictor, predictor.background, samples=300):
        found = explainer.explain(strange, label="yes", seed=0)
        assert found.problem is None
        weight = {each["feature"]: each["contribution"] for each in found.contributions}["kind"]
        assert weight == max(each["contribution"] for each in found.contributions) > 0.1
        if explainer.method == "shap.permutation":
            total = found.base + sum(each["contribution"] for each in found.contributions)
            assert total == pytest.approx(np.log(0.9 / 0.1), abs=1e-9)


def test_each_distinct_row_is_asked_for_once() -> None:
    predictor = table(half)
    encoded = predictor.encode([ROWS[0], ROWS[1], ROWS[0], ROWS[0]])
    assert predictor.table_probabilities(encoded).tolist() == [[0.5, 0.5]] * 4
    assert len(predictor.engine.inputs["x"]) == 2
    with pytest.raises(ValueError, match="the model has 7 columns"):
        predictor.table_probabilities(type(encoded)(encoded.matrix[:, :3], {}))


def test_row_that_the_model_raises_on_takes_no_other_down(caplog: pytest.LogCaptureFixture) -> None:
    def answer(inputs: Any) -> Floats:
        if 13 in inputs["whole"]:
            raise RuntimeError("thirteen")
        return of([0.25 for _ in inputs["x"]])

    answers = table(answer).predict(ROWS)
    assert answers[13] == Unscored("the model failed on this item: RuntimeError: thirteen")
    assert answers[:13] + answers[14:] == [Prediction(LABELS, (0.75, 0.25))] * 39
    assert [each.getMessage() for each in caplog.records] == ["the model raised RuntimeError on 1 of 40 items"]


def test_a_model_that_raises_on_all_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    def answer(inputs: Any) -> Floats:
        raise RuntimeError("out of order")

    assert {type(each) for each in table(answer).predict(ROWS)} == {Unscored}
    assert [each.getMessage() for each in caplog.records] == ["the model raised RuntimeError on 40 of 40 items"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ((0.7, np.nan), "the model gave a probability that is not a number"),
        ((-0.5, 1.5), "the model answered no -0.5, yes 1.5; probabilities lie within 0 and 1 and sum to one"),
        ((0.5, 0.502), "the model answered no 0.5, yes 0.502; probabilities lie within 0 and 1 and sum to one"),
    ],
)
def test_answer_that_is_no_probability(bad: tuple[float, float], said: str) -> None:
    answers = table(lambda inputs: np.array([bad if n == 3 else (0.4, 0.6) for n in inputs["whole"]])).predict(ROWS)
    assert answers[3] == Unscored(said)
    assert sum(isinstance(each, Prediction) for each in answers) == 39


def test_answers_are_kept_as_they_are() -> None:
    values = np.array([0.1, 0.9004], dtype=np.float32)
    (answer,) = table(lambda inputs: values[None]).predict(ROWS[:1])
    assert answer.probabilities == tuple(map(float, values))


@pytest.mark.parametrize("shape", [(1, 3), (2, 2), (1,), (1, 2, 2)])
def test_answers_of_another_shape(shape: tuple[int, ...]) -> None:
    answers = table(lambda inputs: np.zeros(shape)).predict(ROWS[:2][:1])
    assert answers == [
        Unscored(f"the model failed on this item: ValueError: the model answered with shape {shape} for 1 rows and 2 labels")
    ]


def test_row_that_cannot_be_read_is_not_asked_for() -> None:
    predictor = table(half)
    answers = predictor.predict([row(0, x="wide"), row(1, kind=[1]), ROWS[2], {"x": 1.0}, None])  # type: ignore[list-item]
    assert answers[0] == Unscored("x: 'wide' is not a number")
    assert [type(each) for each in answers] == [Unscored, Unscored, Prediction, Unscored, Unscored]
    assert len(predictor.engine.inputs["x"]) == 1
    assert predictor.predict([]) == []


def test_numbers_sent_as_categories_are_texts() -> None:
    predictor = table(half)
    predictor.predict([row(0, kind=3), row(0, kind=True), row(0, kind=None, x=float("nan"))])
    assert list(predictor.engine.inputs["kind"]) == ["3", "true", None]
    assert list(predictor.engine.inputs["x"])[2] is None


def test_texts() -> None:
    card = OwnCard("own:python", "text", LABELS, {"said": Feature(type="text")})
    predictor = own(card, Asked(lambda texts: of([min(len(each) / 10, 1) for each in texts])), ({"said": "a b"},))
    assert isinstance(predictor, TextModel)
    assert not isinstance(predictor, TableModel)
    answers = predictor.predict([{"said": "four"}, {"said": None}, {"said": 4}, {}])
    assert [each.of("yes") for each in answers[:2] if isinstance(each, Prediction)] == [0.4, 0.0]
    assert [type(each) for each in answers[2:]] == [Unscored, Unscored]
    for explainer in explainers_for(predictor, predictor.background, samples=100):
        assert explainer.explain({"said": "two words"}, label="yes", seed=0).problem is None


@dataclass
class Seeing(Asked):
    size: tuple[int, int, int] = (6, 4, 1)


@dataclass
class Opening(Asked):
    def of_bytes(self, images: Sequence[bytes]) -> Floats:
        return of([0.125 for _ in images])


def picture(engine: Asked) -> Own:
    return own(OwnCard("own:onnx", "image", LABELS, {"image": Feature(type="image")}), engine)


def brightness(images: Floats) -> Floats:
    return of(images.mean(axis=(1, 2, 3)))


def grey(level: int, side: int = 16) -> bytes:
    return data.encoded(np.full((side, side), level, np.uint8))


def test_images_come_at_the_size_that_the_model_sees() -> None:
    predictor = picture(Seeing(brightness))
    assert isinstance(predictor, ImageModel)
    answers = predictor.predict([{"image": grey(51)}, {"image": b"none"}, {"image": None}, {"image": grey(102)}])
    assert [round(each.of("yes"), 6) for each in answers if isinstance(each, Prediction)] == [0.2, 0.4]
    assert [type(each) for each in answers[1:3]] == [Unshowable, Unscored]
    assert predictor.decode(grey(51)).shape == (6, 4, 1)  # type: ignore[union-attr]
    for explainer in explainers_for(predictor, (), samples=50, evaluations=50):
        assert explainer.explain({"image": grey(51)}, label="yes", seed=0).problem is None


def test_engine_that_opens_images_itself_scores_them_and_is_explained_at_a_bounded_size() -> None:
    predictor = picture(Opening(brightness))
    answers = predictor.predict([{"image": grey(51, 500)}, {"image": b"none"}])
    assert answers[0].of("yes") == 0.125  # type: ignore[union-attr]
    assert isinstance(answers[1], Unshowable)
    assert predictor.decode(grey(51, 500)).shape == (256, 256, 1)  # type: ignore[union-attr]
    coloured = np.zeros((30, 20, 3), np.uint8)
    coloured[..., 0] = 200
    assert predictor.decode(data.encoded(coloured)).shape == (30, 20, 3)  # type: ignore[union-attr]
