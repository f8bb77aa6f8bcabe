"""Small models that offer the views which are explained, and the real data they learn from."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from contract.predictors import Column, Encoded, Floats
from contract.records import Row


@dataclass
class Table:
    """A table model around any function of the encoded rows."""

    columns: tuple[Column, ...]
    function: Callable[[Encoded], Floats]
    labels: tuple[str, ...] = ("no", "yes")

    def encode(self, rows: Sequence[Row]) -> Encoded:
        texts = {
            place: tuple(str(row[column.name]) for row in rows if row.get(column.name) is not None)
            for place, column in enumerate(self.columns)
            if column.kind == "text"
        }
        used = dict.fromkeys(texts, 0)
        matrix = np.full((len(rows), len(self.columns)), np.nan)
        for i, row in enumerate(rows):
            for j, column in enumerate(self.columns):
                value = row.get(column.name)
                if value is None:
                    continue
                if column.kind == "text":
                    matrix[i, j] = used[j]
                    used[j] += 1
                elif column.kind == "category":
                    matrix[i, j] = column.categories.index(value) if value in column.categories else len(column.categories)
                else:
                    matrix[i, j] = float(value)
        return Encoded(matrix, texts)

    def table_probabilities(self, encoded: Encoded) -> Floats:
        return self.function(encoded)


@dataclass
class Text:
    function: Callable[[Sequence[str]], Floats]
    labels: tuple[str, ...] = ("no", "yes")
    feature: str = "text"

    def text_probabilities(self, texts: Sequence[str]) -> Floats:
        return self.function(texts)


@dataclass
class Picture:
    function: Callable[[Floats], Floats]
    labels: tuple[str, ...] = ("no", "yes")
    feature: str = "image"

    def decode(self, data: bytes) -> Floats:
        pixels = np.asarray(Image.open(io.BytesIO(data)), dtype=np.float64) / 255
        return pixels[..., None] if pixels.ndim == 2 else pixels

    def image_probabilities(self, images: Floats) -> Floats:
        return self.function(images)


def png(pixels: Floats) -> bytes:
    """(height, width) or (height, width, 3) in 0..1 to bytes."""
    file = io.BytesIO()
    Image.fromarray(np.round(pixels * 255).astype(np.uint8)).save(file, format="PNG")
    return file.getvalue()


def sigmoid(score: Floats) -> Floats:
    """(n,) scores to (n, 2) probabilities of no and yes."""
    p = 1 / (1 + np.exp(-np.asarray(score, dtype=np.float64)))
    return np.column_stack([1 - p, p])


def in_log_odds(answer: Callable[[Any], Floats]) -> Callable[[Any], Floats]:
    """A predict function for the library that answers each label's log-odds."""

    def asked(inputs: Any) -> Floats:
        p = np.clip(answer(inputs), 1e-6, 1 - 1e-6)
        return np.log(p) - np.log1p(-p)

    return asked


def numbers(names: Sequence[str]) -> tuple[Column, ...]:
    return tuple(Column(name, "number") for name in names)


def rows_of(names: Sequence[str], matrix: NDArray[Any]) -> list[Row]:
    return [dict(zip(names, map(float, row), strict=True)) for row in matrix]


def linear(weights: Sequence[float], names: Sequence[str] | None = None) -> Table:
    w = np.asarray(weights)
    names = names or [f"x{place}" for place in range(len(w))]
    return Table(numbers(names), lambda encoded: sigmoid(np.nan_to_num(encoded.matrix) @ w))


@cache
def cancer() -> tuple[Table, list[Row]]:
    """A network on breast_cancer: 30 numbers, two labels."""
    data = load_breast_cancer()
    fitted = make_pipeline(StandardScaler(), MLPClassifier((64, 64), max_iter=60, early_stopping=True, random_state=0))
    fitted.fit(data.data[100:], data.target[100:])
    names = [str(name) for name in data.feature_names]
    model = Table(numbers(names), lambda encoded: fitted.predict_proba(encoded.matrix), ("malignant", "benign"))
    return model, rows_of(names, data.data)


@cache
def mixed() -> tuple[Table, list[Row]]:
    """Numbers, dates, categories, booleans and texts, each now and then missing, and a model that all of them move."""
    rng = np.random.default_rng(5)
    columns = (
        Column("n", "number"),
        Column("few", "number"),
        Column("c", "category", ("a", "b", "rare")),
        Column("d", "date"),
        Column("b", "boolean"),
        Column("t", "text"),
        Column("m", "number"),
    )

    def function(encoded: Encoded) -> Floats:
        long = np.array([0 if np.isnan(code) else len(encoded.texts[5][int(code)]) for code in encoded.matrix[:, 5]])
        known = np.nan_to_num(encoded.matrix, nan=-1.0)
        score = known[:, 0] * known[:, 6] + known[:, 1] / 9 + (known[:, 2] == 0) - (known[:, 2] == 3) + known[:, 3] / 400
        return sigmoid(score + np.sin(known[:, 4]) + long / 5 - 4 * np.isnan(encoded.matrix[:, 0]))

    def made(n: int) -> Row:
        few, kind = float(rng.integers(3)), str(rng.choice(["a", "b", "rare"], p=[0.5, 0.47, 0.03]))
        return {"n": float(rng.normal()), "few": few, "c": kind, "d": float(rng.integers(900)), "b": bool(rng.random() < 0.3)} | {
            "t": f"text {n % 3}" if n % 2 else "same",
            "m": float(rng.exponential()),
        }

    rows = [{name: None if rng.random() < 0.04 else value for name, value in made(n).items()} for n in range(400)]
    return Table(columns, function), rows


@cache
def digits() -> tuple[Picture, list[Row], list[str]]:
    """A network on the 8x8 digits, the rows and their labels."""
    data = load_digits()
    fitted = MLPClassifier((64,), max_iter=60, early_stopping=True, random_state=0).fit(data.data[500:] / 16, data.target[500:])
    model = Picture(lambda images: fitted.predict_proba(images.reshape(len(images), -1)), tuple(map(str, range(10))))
    return model, [{"image": png(image / 16)} for image in data.images[:500]], list(map(str, data.target[:500]))


GOOD = ("a wonderful film with a brilliant cast", "brilliant and moving from start to end", "we loved this wonderful story")
BAD = ("a dreadful film with a boring cast", "boring and slow from start to end", "we hated this dreadful story")


@cache
def reviews() -> Text:
    """Words and a logistic regression, on six short reviews."""
    fitted = make_pipeline(TfidfVectorizer(), LogisticRegression(C=50))
    fitted.fit([*GOOD, *BAD], [1] * 3 + [0] * 3)
    return Text(lambda texts: fitted.predict_proba(list(texts)), ("bad", "good"))
