"""The real data of the demo: handwritten digits and measurements of breast masses, both out of scikit-learn."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image


@dataclass(frozen=True, slots=True)
class Known:
    """One item with its true label. `media`: bytes of its image, if it is one."""

    external_id: str
    input: dict[str, Any]
    label: str
    media: bytes | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A data set in a fixed order: the model learns from the first part, the second judges it, the rest arrives."""

    project: str
    learn: int
    aside: int
    items: tuple[Known, ...]


def sources() -> Iterator[Source]:
    """Digits first: anyone can judge them."""
    yield Source("digits", 60, 337, _shuffled(digits()))
    yield Source("diagnosis", 30, 219, _shuffled(_diagnosis()))


def digits() -> list[Known]:
    """1,797 images of 8 by 8 pixels."""
    from sklearn.datasets import load_digits

    held = load_digits()
    return [
        Known(f"digit-{n:04}", {}, str(label), png(pixels))
        for n, (pixels, label) in enumerate(zip(held.images, held.target, strict=True))
    ]


def _diagnosis() -> list[Known]:
    from sklearn.datasets import load_breast_cancer

    held = load_breast_cancer()
    names = [name.replace(" ", "_") for name in held.feature_names]
    rows = zip(held.data, held.target, strict=True)
    return [
        Known(f"sample-{n:03}", {name: float(v) for name, v in zip(names, row, strict=True)}, str(held.target_names[label]))
        for n, (row, label) in enumerate(rows)
    ]


def _shuffled(items: list[Known]) -> tuple[Known, ...]:
    order = np.random.default_rng(7).permutation(len(items))
    return tuple(items[n] for n in order)


def png(pixels: Any) -> bytes:
    """Ink from 0 to 16 on paper as a grey PNG."""
    buffer = io.BytesIO()
    Image.fromarray((255 - pixels * 255 / 16).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
