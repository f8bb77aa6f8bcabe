"""Real rows for these tests: sets that come with scikit-learn, and the shared ones where they exist."""

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from contract.project import Project

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
Labelled = tuple[list[dict[str, Any]], list[str]]


def project(kind: str, labels: Sequence[str], features: dict[str, Any] | None = None, trainer: str = "auto") -> Project:
    held = {"type": kind, "features": features or {}}
    return Project.model_validate(
        {"project": "p", "input": held, "labels": labels, "model": {"uri": "external", "trainer": trainer}}
    )


def shuffled(rows: Sequence[Any], labels: Sequence[Any]) -> Labelled:
    order = np.random.default_rng(0).permutation(len(rows))
    return [rows[n] for n in order], [str(labels[n]) for n in order]


def _numeric(bunch: Any) -> tuple[Project, Labelled]:
    names = [str(name).replace(" ", "_").replace("/", "_") for name in bunch.feature_names]
    rows = [dict(zip(names, values, strict=True)) for values in bunch.data.tolist()]
    labels = [str(bunch.target_names[n]) for n in bunch.target]
    return project("tabular", list(map(str, bunch.target_names)), {name: {"type": "number"} for name in names}), shuffled(
        rows, labels
    )


@cache
def breast_cancer() -> tuple[Project, Labelled]:
    return _numeric(load_breast_cancer())


@cache
def wine() -> tuple[Project, Labelled]:
    return _numeric(load_wine())


MIXED = {
    "radius": {"type": "number"},
    "size": {"type": "category", "optional": True},
    "smooth": {"type": "boolean"},
    "seen": {"type": "date"},
    "note": {"type": "text"},
}


@cache
def mixed() -> tuple[Project, Labelled]:
    """The breast cancer rows told in every type of column, with values missing."""
    bunch = load_breast_cancer()
    radius, area, smoothness, texture = bunch.data[:, 0], bunch.data[:, 3], bunch.data[:, 4], bunch.data[:, 1]
    sizes = np.array(["small", "medium", "large"])[np.searchsorted(np.quantile(area, [0.33, 0.67]), area)]
    rows: list[dict[str, Any]] = [
        {
            "radius": None if n % 11 == 0 else float(radius[n]),
            "size": None if n % 7 == 0 else str(sizes[n]),
            "smooth": None if n % 13 == 0 else bool(smoothness[n] < 0.1),
            "seen": None if n % 17 == 0 else f"20{10 + n % 12}-0{1 + n % 9}-1{n % 10}T0{n % 10}:30:00Z",
            "note": None if n % 5 == 0 else ("rough grain " if texture[n] > 19 else "fine grain ") + f"case {n % 3}",
        }
        for n in range(len(radius))
    ]
    labels = [str(bunch.target_names[n]) for n in bunch.target]
    return project("tabular", ["malignant", "benign"], MIXED), shuffled(rows, labels)


def encoded(array: Any, form: str = "PNG", **how: Any) -> bytes:
    target = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(np.asarray(array))
    image.save(target, form, **how)
    return target.getvalue()


@cache
def digits() -> tuple[Project, Labelled]:
    bunch = load_digits()
    rows = [{"image": encoded((image * 15.9).astype(np.uint8))} for image in bunch.images]
    return project("image", list("0123456789")), shuffled(rows, bunch.target)


TOPICS = {
    "card": ["my card has not arrived", "the card was swallowed", "order a new card", "the card is broken", "card lost today"],
    "money": ["a transfer is missing", "money did not arrive", "the transfer failed", "refund my money", "transfer to my wife"],
}


@cache
def messages() -> tuple[Project, Labelled]:
    """A few sentences of two topics; real messages are in the shared sets."""
    endings = ["", " please", " why", " again?", " since monday", " help me", " thanks 🙂", " now!!", " sir", " twice"]
    endings += [f"{end} and {more}" for end in endings for more in ("soon", "quickly")]
    rows = [({"text": text + end}, topic) for topic, texts in TOPICS.items() for text in texts for end in endings]
    return project("text", list(TOPICS)), shuffled([row for row, _ in rows], [topic for _, topic in rows])


def shared(name: str) -> pd.DataFrame:
    path = SHARED / name / "data.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    return pd.read_parquet(path).sample(frac=1, random_state=0)


def shared_table(name: str, target: str, drop: Sequence[str] = ()) -> tuple[Project, Labelled]:
    frame = shared(name)
    names = [column for column in frame.columns if column not in (target, "row_id", "official_split", *drop)]
    kinds = {column: {"type": "number" if pd.api.types.is_numeric_dtype(frame[column]) else "category"} for column in names}
    plain = frame[names].astype(object).where(frame[names].notna(), None)
    labels = frame[target].astype(str).tolist()
    return project("tabular", sorted(set(labels)), kinds), (plain.to_dict("records"), labels)


def shared_texts(name: str) -> tuple[Project, Labelled]:
    frame = shared(name)
    labels = frame["label"].astype(str).tolist()
    return project("text", sorted(set(labels))), ([{"text": text} for text in frame["text"]], labels)


def shared_images(name: str) -> tuple[Project, Labelled]:
    frame = shared(name)
    labels = frame["label"].astype(str).tolist()
    return project("image", sorted(set(labels))), ([{"image": data} for data in frame["image"]], labels)


def accuracy(predictor: Any, rows: Sequence[Any], labels: Sequence[str]) -> float:
    return float(np.mean([answer.label == label for answer, label in zip(predictor.predict(rows), labels, strict=True)]))
