import gc
import time

import numpy as np
import pytest
from explained_models import Picture, Table, Text, linear, numbers, sigmoid

from contract.predictors import Column, Encoded, ImageModel, TableModel, TextModel
from explain import chunked as module
from explain.chunked import Pace, chunked


def constant(n: int) -> np.ndarray:
    return np.full((n, 2), 0.5)


def test_every_view_stays_what_it_is_and_answers_the_same() -> None:
    table = chunked(linear([1.0, -2.0]))
    text = chunked(Text(lambda texts: sigmoid([len(each) for each in texts])))
    picture = chunked(Picture(lambda images: sigmoid(images.mean(axis=(1, 2, 3)))))
    assert [isinstance(table, TableModel), isinstance(text, TextModel), isinstance(picture, ImageModel)] == [True] * 3
    assert not isinstance(table, TextModel)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(5000, 2))
    np.testing.assert_allclose(table.table_probabilities(Encoded(rows, {})), sigmoid(rows @ [1.0, -2.0]), atol=1e-12)
    images = rng.uniform(size=(300, 4, 4, 1))
    np.testing.assert_allclose(picture.image_probabilities(images), sigmoid(images.mean(axis=(1, 2, 3))), atol=1e-12)
    words = ["a" * (n % 7) for n in range(1000)]
    np.testing.assert_allclose(text.text_probabilities(words), sigmoid([len(each) for each in words]), atol=1e-12)


def test_what_else_a_model_offers_passes_through() -> None:
    model = linear([1.0])
    model.inside = "weights"
    assert chunked(model).inside == "weights"
    assert chunked(model).encode([{"x0": 2.0}]).matrix == [[2.0]]
    with pytest.raises(AttributeError):
        _ = chunked(model).outside


def test_others_get_their_turn_after_every_chunk() -> None:
    chunks, turns = [], []
    model = Text(lambda texts: chunks.append(len(texts)) or constant(len(texts)))
    chunked(model, lambda: turns.append(sum(chunks))).text_probabilities(["a"] * 500)
    assert sum(chunks) == 500
    assert turns == np.cumsum(chunks).tolist()
    assert len(turns) > 3


def test_a_chunked_view_is_not_wrapped_twice() -> None:
    turns, others = [], []
    view = chunked(Text(lambda texts: constant(len(texts))), lambda: turns.append(1))
    assert chunked(view) is view
    chunked(view, lambda: others.append(1)).text_probabilities(["a"])
    assert (turns, others) == ([], [1])


def test_no_rows_are_asked_once() -> None:
    assert chunked(Text(lambda texts: constant(len(texts)))).text_probabilities([]).shape == (0, 2)


def pace(seconds) -> Pace:
    """After 20,000 rows of a model that takes so long for n rows."""
    made = Pace(None)
    for _ in range(400):
        made.saw(made.size, seconds(made.size))
    return made


@pytest.mark.parametrize(
    ("seconds", "least", "most"),
    [
        (lambda n: 1e-3 + 1e-6 * n, 2048, 16384),  # a call costs, rows hardly
        (lambda n: 1e-3 * n, 8, 8),  # nothing is won by more at once
        (lambda n: 1e-5 * n * (1 + (n > 64)) + 1e-4, 32, 64),  # larger ones fall out of the cache
        (lambda n: 0.05 * n, 1, 2),  # one row takes half of the time that a chunk may take
        (lambda n: 1.0 * n, 1, 1),
    ],
)
def test_the_size_is_found(seconds, least: int, most: int) -> None:
    assert least <= pace(seconds).size <= most


def test_a_chunk_that_takes_too_long_is_halved_and_a_size_is_looked_for_again() -> None:
    found = pace(lambda n: 1e-3 + 1e-6 * n)
    large = found.size
    found.saw(large, 1.0)
    assert found.size == large // 2
    for _ in range(module.SETTLED + 50):
        found.saw(found.size, 1e-3 + 1e-6 * found.size)
    assert found.size >= large // 2


def test_a_slow_model_holds_others_up_for_one_short_chunk() -> None:
    last, waits = [time.perf_counter()], []

    def turn() -> None:
        now = time.perf_counter()
        waits.append(now - last[0])
        last[0] = now

    def slow(texts) -> np.ndarray:
        time.sleep(0.01 * len(texts))
        return constant(len(texts))

    chunked(Text(slow), turn).text_probabilities(["a"] * 60)
    assert max(waits) < 0.3


def test_views_of_one_model_learn_together_and_forget_it_when_it_is_gone() -> None:
    model = linear([1.0])
    first, second = chunked(model), chunked(model)
    first.table_probabilities(Encoded(np.zeros((3000, 1)), {}))
    assert second._pace is first._pace
    assert second._pace.size > module.FIRST
    before = len(module._paces)
    del first, second, model
    gc.collect()
    assert len(module._paces) < before


def test_a_model_sees_only_the_texts_of_its_chunk() -> None:
    seen = []

    def function(encoded: Encoded) -> np.ndarray:
        codes = encoded.matrix[:, 1]
        seen.append(len(encoded.texts[1]))
        return sigmoid([0.0 if np.isnan(code) else len(encoded.texts[1][int(code)]) for code in codes])

    model = Table((Column("x", "number"), Column("t", "text")), function)
    texts = tuple("a" * n for n in range(500))
    codes = np.arange(1000.0) % 500
    codes[::9] = np.nan
    found = chunked(model).table_probabilities(Encoded(np.column_stack([codes, codes]), {1: texts}))
    np.testing.assert_allclose(found, sigmoid(np.nan_to_num(codes)), atol=1e-12)
    assert max(seen[:3]) <= module.FIRST


def test_large_images_come_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NUMBERS", 100)
    seen = []
    model = Picture(lambda images: seen.append(len(images)) or constant(len(images)))
    chunked(model).image_probabilities(np.zeros((20, 5, 5, 1)))
    assert max(seen) == 4
    assert sum(seen) == 20


def test_what_the_model_raises_is_raised() -> None:
    def broken(encoded: Encoded) -> np.ndarray:
        raise RuntimeError("no memory left")

    with pytest.raises(RuntimeError, match="no memory"):
        chunked(Table(numbers(["x"]), broken)).table_probabilities(Encoded(np.zeros((3, 1)), {}))
