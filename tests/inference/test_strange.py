"""The strange: seen on real data far more often than the ordinary is taken for it, and told alike after a trip through files."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from contract.project import Feature
from contract.records import Row
from inference import store, strange, training
from inference.errors import ModelLoadError
from inference.predictors import BuiltIn
from inference.strange import Ordinary
from tests.inference import data

AT = 0.01
ERRORS = 3.3
"""Standard errors within which the share of ordinary cases is to lie."""


def most(ordinary: Ordinary, seen: int) -> float:
    """The share of `seen` ordinary cases that may be taken for strange: chance in both samples, and one in those held."""
    spread = AT * (1 - AT) * (1 / len(ordinary.held) + 1 / seen)
    return float(AT + 1 / len(ordinary.held) + ERRORS * spread**0.5)


def share(model: Any, ordinary: Ordinary, rows: list[Row]) -> float:
    found = np.array(strange.told(model, ordinary, rows), dtype=np.float64)
    return float((found < AT).mean())


def features(**kinds: str) -> dict[str, Feature]:
    return {name: Feature.model_validate({"type": kind, "optional": True}) for name, kind in kinds.items()}


NUMBERS = features(x="number", y="number")


def numbers(count: int, seed: int = 0) -> list[Row]:
    found = np.random.default_rng(seed).normal(size=(count, 2)).tolist()
    return [{"x": x, "y": y} for x, y in found]


def shared(name: str) -> pd.DataFrame:
    path = data.SHARED / name / "data.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return pd.read_parquet(path).sample(frac=1, random_state=0)


def table(frame: pd.DataFrame, *without: str) -> tuple[dict[str, Feature], Callable[[pd.DataFrame], list[Row]]]:
    names = [name for name in frame.columns if name not in ("row_id", *without)]
    kinds = {name: "number" if pd.api.types.is_numeric_dtype(frame[name]) else "category" for name in names}

    def rows(part: pd.DataFrame) -> list[Row]:
        plain = part[names].astype(object).where(part[names].notna(), None)
        return plain.to_dict("records")  # type: ignore[return-value]

    return features(**kinds), rows


@pytest.mark.parametrize("learned", [400, 3_000])
def test_hours_that_were_never_worked(learned: int) -> None:
    adult = shared("adult")
    held, rows = table(adult, "income", "fnlwgt")
    usual, longer = adult[adult.hours_per_week <= 40], adult[adult.hours_per_week > 40]
    ordinary = strange.of_rows(held, rows(usual[:learned]))
    assert ordinary is not None
    assert share(None, ordinary, rows(usual[learned : learned + 3_000])) <= most(ordinary, 3_000)
    assert share(None, ordinary, rows(longer[:2_000])) > 0.6


def test_calls_of_another_year() -> None:
    bank = shared("bank_marketing")
    held, rows = table(bank, "subscribed", "duration", "year")
    first = bank[bank.year == 2008]
    ordinary = strange.of_rows(held, rows(first[:3_000]))
    assert ordinary is not None
    assert share(None, ordinary, rows(first[3_000:6_000])) <= most(ordinary, 3_000)
    assert share(None, ordinary, rows(bank[bank.year == 2009])) > 0.5


def test_messages_between_friends_at_the_bank() -> None:
    bank, friends = shared("banking77"), shared("sms_spam")
    said = [{"text": text} for text in bank.text]
    labels = bank.label.astype(str).tolist()
    model = training.train(data.project("text", sorted(set(labels))), said[:1_000], labels[:1_000]).predictor
    assert model.ordinary is not None
    assert share(model, model.ordinary, said[1_000:3_000]) <= most(model.ordinary, 2_000)
    assert share(model, model.ordinary, [{"text": text} for text in friends.text[:1_000]]) > 0.6


def png(pixels: Any) -> bytes:
    target = io.BytesIO()
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).resize((28, 28)).save(target, "PNG")
    return target.getvalue()


@pytest.mark.slow
def test_digits_among_clothes() -> None:
    fashion = shared("fashion_mnist")
    clothes = [{"image": bytes(each)} for each in fashion.image[:3_000]]
    labels = fashion.label.astype(str).tolist()
    model = training.train(data.project("image", sorted(set(labels))), clothes[:600], labels[:600]).predictor
    assert model.ordinary is not None
    assert share(model, model.ordinary, clothes[600:2_600]) <= most(model.ordinary, 2_000)
    digits = [{"image": png(each * 255 / 16)} for each in load_digits().images[:500]]
    assert share(model, model.ordinary, digits) > 0.5


def test_a_model_of_each_kind_tells_the_same_after_a_trip(tmp_path: Path) -> None:
    project, (rows, labels) = data.breast_cancer()
    model = training.train(project, rows[:400], labels[:400], trainer="sklearn-linear").predictor
    store.save(model, tmp_path)
    assert (tmp_path / strange.FILE).exists()
    again = store.load(tmp_path)
    assert again.ordinary is not None
    assert strange.told(again, again.ordinary, rows[400:]) == strange.told(model, model.ordinary, rows[400:])


def test_shares_follow_the_distance() -> None:
    ordinary = strange.of_rows(NUMBERS, numbers(400))
    assert ordinary is not None
    far = [{"x": x, "y": 0.0} for x in (0.0, 4.0, 5.0, 9.0, 1e9)]
    told = strange.told(None, ordinary, far)
    assert all(each is not None for each in told)
    assert told[0] is not None
    assert told[0] > 0.2
    assert told[1:] == sorted(told[1:], key=lambda each: -(each or 0.0))
    assert told[-1] == 0.0
    assert (
        np.diff(strange.distances(ordinary.reference, strange.measured(ordinary.measures or {}, far), strange.K)[1:]) > 0
    ).all()


def test_ordinary_cases_are_as_often_below_a_share_as_it_says() -> None:
    """Over many splits: each time one case that is exchangeable with the others."""
    found = []
    for seed in range(400):
        rows = numbers(201, seed)
        ordinary = strange.of_rows(NUMBERS, rows[:200], seed)
        assert ordinary is not None
        found += strange.told(None, ordinary, rows[200:])
    told = np.array(found, dtype=np.float64)
    for at in (0.05, 0.2, 0.5):
        assert abs((told < at).mean() - at) <= 1 / 101 + ERRORS * (at * (1 - at) / 400) ** 0.5


def test_categories_and_what_is_missing() -> None:
    rows = [{"size": "small" if n % 3 else "large", "seen": bool(n % 2), "day": "2026-01-01", "note": "n"} for n in range(300)]
    ordinary = strange.of_rows(features(size="category", seen="boolean", day="date", note="text"), rows)
    assert ordinary is not None
    assert set(ordinary.measures or {}) == {"size", "seen"}
    same, new, none, gone = strange.told(None, ordinary, [rows[0], {**rows[0], "size": "huge"}, {**rows[0], "seen": None}, {}])
    assert same == 1.0
    assert new == none == gone == 0.0
    later = {**rows[0], "day": "2099-01-01", "note": "never said before"}
    assert strange.told(None, ordinary, [later]) == [1.0]


def test_of_very_many_categories_a_new_one_is_none_to_note() -> None:
    rows = [{"id": f"n{n}", "x": float(n % 7)} for n in range(2_500)]
    ordinary = strange.of_rows(features(id="category", x="number"), rows)
    assert ordinary is not None
    assert ordinary.reference.shape[1] < 80
    told = strange.told(None, ordinary, [{"id": "new", "x": 3.0}])[0]
    assert told is not None
    assert told > 0.05


def test_too_few_rows_say_nothing() -> None:
    assert strange.of_rows(NUMBERS, numbers(99)) is None
    assert strange.of_rows(features(note="text"), [{"note": "a"}] * 200) is None
    assert strange.told(None, None, numbers(2)) == [None, None]
    assert strange.told(None, strange.of_rows(NUMBERS, numbers(200)), []) == []


def test_a_model_without_its_layer_cannot_tell() -> None:
    ordinary = Ordinary(np.ones((60, 2), np.float32), np.arange(60.0), None)
    assert strange.told(object(), ordinary, [{"text": "a"}]) == [None]
    assert strange.of_inputs(object(), ["a"] * 60, ["b"] * 60) is None


def test_an_older_model_of_a_table_tells_by_its_background() -> None:
    project, (rows, labels) = data.breast_cancer()
    model: BuiltIn = training.train(project, rows, labels, trainer="sklearn-linear").predictor
    older = replace(model, ordinary=None)
    found = strange.ordinary_of(older)
    assert found is not None
    assert len(found.reference) + len(found.held) == len(older.background)
    assert strange.ordinary_of(model) is model.ordinary


@pytest.mark.parametrize(
    "change",
    [
        lambda held: b"",
        lambda held: held[:40],
        lambda held: held.replace(b"reference", b"referense"),
        lambda held: held.replace(b"measures", b"measurez"),
        lambda held: strange.dump(Ordinary(np.ones((3, 2), np.float32), np.empty(0), None)),
        lambda held: strange.dump(Ordinary(np.ones((3, 2), np.float32), np.ones(3), {"x": strange.Numbers((0.0,) * 101)})),
    ],
)
def test_a_file_that_is_none(change: Callable[[bytes], bytes]) -> None:
    ordinary = strange.of_rows(NUMBERS, numbers(200))
    assert ordinary is not None
    with pytest.raises(ModelLoadError, match="does not say what is ordinary"):
        strange.load(change(strange.dump(ordinary)))
