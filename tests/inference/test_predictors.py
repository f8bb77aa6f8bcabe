import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from PIL import Image

from contract.predictors import Column, Encoded, ImageModel, TableModel, TextModel
from contract.records import Prediction, Unscored, Unshowable
from inference.training import Trained, train
from tests.inference import data
from tests.inference.conftest import rows_of

TABLES = ("torch-mlp", "sklearn-hgb", "sklearn-linear")


class Strange:
    """An engine that raises for one value and gives NaN for another."""

    columns = (Column("x", "number"),)

    def settings(self) -> dict[str, Any]:
        return {}

    def files(self) -> dict[str, bytes]:
        return {}

    def scores(self, encoded: Encoded) -> Any:
        if (encoded.matrix == 13).any():
            raise RuntimeError("thirteen")
        scores = np.zeros((len(encoded.matrix), 2))
        scores[encoded.matrix[:, 0] == 7] = np.nan
        return scores


@pytest.fixture
def strange(models: dict[str, Trained]) -> Any:
    predictor = models["torch-mlp"].predictor
    return replace(predictor, engine=Strange(), card=replace(predictor.card, features={}))  # type: ignore[arg-type]


def test_one_answer_per_row_in_order(trained: Trained, kind: str) -> None:
    _, (rows, _) = rows_of(kind)
    answers = trained.predictor.predict(rows[:40])
    assert len(answers) == 40
    backwards = trained.predictor.predict(rows[:40][::-1])[::-1]
    for one, other in zip(answers, backwards, strict=True):
        assert isinstance(one, Prediction)
        assert isinstance(other, Prediction)
        assert one.labels == trained.predictor.labels
        assert sum(one.probabilities) == pytest.approx(1)
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)
    assert trained.predictor.predict([]) == []


def test_model_that_raises_takes_no_other_row_down(strange: Any) -> None:
    answers = strange.predict([{"x": float(n)} for n in range(20)])
    assert answers[13] == Unscored("the model failed on this item: RuntimeError: thirteen")
    assert answers[7] == Unscored("the model gave a probability that is not a number")
    assert sum(isinstance(each, Prediction) for each in answers) == 18


@pytest.mark.parametrize("kind", TABLES, indirect=True)
def test_bad_cells(trained: Trained) -> None:
    _, (rows, _) = data.mixed()
    good = rows[3]
    bad = [
        {**good, "radius": "wide"}, {**good, "radius": math.inf}, {**good, "smooth": "yes"}, {**good, "seen": "soon"},
        {**good, "note": 5}, {name: good[name] for name in good if name != "radius"}, None, [1],
    ]  # fmt: skip
    answers = trained.predictor.predict([good, *bad, good])  # type: ignore[list-item]
    assert isinstance(answers[0], Prediction)
    assert isinstance(answers[-1], Prediction)
    assert answers[0].probabilities == pytest.approx(answers[-1].probabilities, abs=1e-6)  # kernels treat a batch's end apart
    assert all(isinstance(each, Unscored) for each in answers[1:-1])
    assert answers[1] == Unscored("radius: 'wide' is not a number")


@pytest.mark.parametrize("kind", TABLES, indirect=True)
def test_cells_that_are_unusual_but_sound(trained: Trained) -> None:
    _, (rows, _) = data.mixed()
    good = rows[3]
    unusual = [
        dict.fromkeys(good), {**good, "radius": math.nan}, {**good, "radius": -1e300}, {**good, "radius": 10**15},
        {**good, "size": "gigantic"}, {**good, "size": ""}, {**good, "seen": "0001-01-01"},
        {**good, "seen": "9999-12-31T23:59:59"},
        {**good, "note": ""}, {**good, "note": "🙂" * 50}, {**good, "note": "word " * 40_000}, {**good, "more": object()},
        {name: good[name] for name in good if name != "size"},
    ]  # fmt: skip
    assert all(isinstance(each, Prediction) for each in trained.predictor.predict(unusual))


@pytest.mark.parametrize("kind", TABLES, indirect=True)
def test_table_view_is_the_model(trained: Trained) -> None:
    _, (rows, _) = data.mixed()
    predictor: Any = trained.predictor
    assert isinstance(predictor, TableModel)
    assert [column.name for column in predictor.columns] == list(data.MIXED)
    encoded = predictor.encode(rows[:60])
    assert encoded.matrix.dtype == np.float64
    seen = predictor.table_probabilities(encoded)
    assert seen.dtype == np.float64
    assert seen.tolist() == [list(each.probabilities) for each in predictor.predict(rows[:60])]
    with pytest.raises(ValueError, match="row 1: radius"):
        predictor.encode([rows[0], {**rows[0], "radius": "x"}])
    with pytest.raises(ValueError, match="5 columns"):
        predictor.table_probabilities(Encoded(np.zeros((2, 3)), {}))
    assert predictor.table_probabilities(predictor.encode([])).shape == (0, 2)


@pytest.mark.parametrize("kind", TABLES, indirect=True)
def test_table_view_takes_what_an_explainer_makes(trained: Trained) -> None:
    _, (rows, _) = data.mixed()
    predictor: Any = trained.predictor
    encoded = predictor.encode(rows[:8])
    mixed = encoded.matrix.copy()
    mixed[:, 1] = [0, 1, 2, 3, np.nan, 0, 1, 2]
    mixed[:, 4] = np.nan
    before = mixed.copy()
    seen = predictor.table_probabilities(Encoded(np.asfortranarray(mixed), encoded.texts))
    assert np.isfinite(seen).all()
    assert np.array_equal(mixed, before, equal_nan=True)
    assert np.allclose(seen, predictor.table_probabilities(Encoded(mixed, encoded.texts)))


def test_text_view_is_the_model(models: dict[str, Trained]) -> None:
    predictor: Any = models["torch-text"].predictor
    texts = ["my card", "", "🙂🙃", "word " * 40_000, "MY CARD", "\x00", "\ud800"]
    assert isinstance(predictor, TextModel)
    seen = predictor.text_probabilities(texts)
    assert seen.tolist() == [list(each.probabilities) for each in predictor.predict([{"text": text} for text in texts])]
    assert np.allclose(seen[0], seen[4], atol=1e-6)
    assert predictor.text_probabilities([]).shape == (0, 2)


def test_texts_that_cannot_be_scored(models: dict[str, Trained]) -> None:
    predictor: Any = models["torch-text"].predictor
    answers = predictor.predict([{"text": 5}, {}, {"text": None}, {"text": "x" * 200_001}, "text", {"text": "card"}])
    assert [isinstance(each, Prediction) for each in answers] == [False, False, True, False, False, True]
    assert answers[2] == predictor.predict([{"text": ""}, {"text": "card"}])[0]


def test_image_view_is_the_model(models: dict[str, Trained]) -> None:
    predictor: Any = models["torch-cnn"].predictor
    _, (rows, _) = data.digits()
    assert isinstance(predictor, ImageModel)
    stack = np.stack([predictor.decode(row["image"]) for row in rows[:70]])
    assert stack.shape == (70, 8, 8, 1)
    assert stack.dtype == np.float64
    seen = predictor.image_probabilities(stack)
    assert seen.tolist() == [list(each.probabilities) for each in predictor.predict(rows[:70])]
    with pytest.raises(ValueError, match="shape"):
        predictor.image_probabilities(stack[:, :4])
    with pytest.raises(ValueError, match="not an image"):
        predictor.decode(b"hello")
    assert predictor.image_probabilities(stack[:0]).shape == (0, 10)


def test_images_that_cannot_be_shown(models: dict[str, Trained]) -> None:
    _, (rows, _) = data.digits()
    good = rows[0]["image"]
    noise = data.encoded(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8))
    tiny = data.encoded(Image.new("RGBA", (1, 1), (9, 9, 9, 9)))
    sent = [good, good[:40], noise[:500], b"", b"GIF89a", "text", None, tiny, good]
    answers = models["torch-cnn"].predictor.predict([{"image": each} for each in sent] + [{}])
    kinds = [type(each) for each in answers]
    assert kinds == [Prediction, *[Unshowable] * 5, Unscored, Prediction, Prediction, Unscored]
    assert answers[0].probabilities == pytest.approx(answers[8].probabilities, abs=1e-6)  # type: ignore[union-attr]


def test_many_threads_read_one_model(trained: Trained, kind: str) -> None:
    _, (rows, _) = rows_of(kind)
    expected = trained.predictor.predict(rows[:40])
    with ThreadPoolExecutor(8) as pool:
        assert all(each == expected for each in pool.map(lambda _: trained.predictor.predict(rows[:40]), range(24)))


@pytest.mark.benchmark
@pytest.mark.parametrize("trainer", TABLES)
def test_sixty_thousand_rows_of_thirty_columns(trainer: str) -> None:
    project, (rows, labels) = data.breast_cancer()
    predictor: Any = train(project, rows, labels, trainer=trainer, device="cpu").predictor
    matrix = np.tile(predictor.encode(rows).matrix, (106, 1))[:60_000]
    begun = perf_counter()
    predictor.table_probabilities(Encoded(matrix, {}))
    print(f"\n{trainer}: {60_000 / (perf_counter() - begun):,.0f} encoded rows/s")
    many = (rows * 36)[:20_000]
    begun = perf_counter()
    predictor.predict(many)
    print(f"{trainer}: {20_000 / (perf_counter() - begun):,.0f} rows/s")
