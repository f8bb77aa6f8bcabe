"""Bytes of an image as what a page can hold: scaled, upright, a data URI."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.images import open_image

MOST = 1_400
"""Pixels of the longer side on the page."""
TINY = 160
"""Images up to this many pixels are enlarged with their pixels kept."""
POSITIVE, NEGATIVE = (31, 111, 191), (201, 106, 18)


@dataclass(frozen=True, slots=True)
class Picture:
    """An image ready for the page."""

    uri: str
    width: int
    height: int

    @property
    def tiny(self) -> bool:
        return max(self.width, self.height) <= TINY


def prepare(data: bytes, most: int = MOST) -> Picture | None:
    """A scaled, upright copy as a data URI; None for what is no image, is broken or has over 50 megapixels."""
    try:
        image = open_image(data, near=most)
    except ValueError:
        return None
    image.thumbnail((most, most))
    return _encoded(image)


def _encoded(image: Image.Image) -> Picture:
    file = io.BytesIO()
    small = max(image.size) <= 400
    image.save(file, format="PNG" if small else "JPEG", quality=88)
    return Picture(_uri(file.getvalue(), "png" if small else "jpeg"), *image.size)


def overlay(segments_png: str, weights: list[float]) -> tuple[str, list[tuple[float, float, float]]]:
    """Signed colours over segments as a transparent picture, and where the strongest segments lie.

    A mark is (left, top, weight), places as shares of the picture. Negative segments are hatched, so that the sign
    reads without colour.
    """
    segments = _segments(segments_png)
    held = np.asarray(weights, dtype=np.float64)
    height, width = segments.shape
    scale = max(1, round(280 / max(height, width)))
    large = segments.repeat(scale, 0).repeat(scale, 1)
    image = Image.fromarray(_colours(large, held), "RGBA")
    file = io.BytesIO()
    image.save(file, format="PNG", compress_level=1)
    return _uri(file.getvalue(), "png"), _marks(segments, held)


def _segments(png: str) -> NDArray[np.int64]:
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        return np.asarray(image).astype(np.int64)


def _colours(segments: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A colour for each segment, laid over its pixels; of a negative one every other stripe is fainter."""
    held = weights if weights.size else np.zeros(1)
    share = held / (float(np.abs(held).max()) or 1.0)
    positive = share >= 0
    colours = np.where(positive[:, None], POSITIVE, NEGATIVE)
    strong, faint = (_with_alpha(colours, np.abs(share) * 215 * part) for part in (1.0, np.where(positive, 1.0, 0.35)))
    rows, columns = (np.arange(n) for n in segments.shape)
    striped = (rows[:, None] + columns) % 8 >= 4
    at = segments.clip(0, len(held) - 1)
    laid: NDArray[np.uint8] = np.where(striped[..., None], faint[at], strong[at])
    return laid


def _with_alpha(colours: NDArray[np.int64], alpha: NDArray[np.float64]) -> NDArray[np.uint8]:
    held: NDArray[np.uint8] = np.concatenate([colours, alpha[:, None]], axis=-1).astype(np.uint8)
    return held


def _marks(segments: NDArray[np.int64], weights: NDArray[np.float64], most: int = 4) -> list[tuple[float, float, float]]:
    height, width = segments.shape
    strong = np.argsort(-np.abs(weights))[:most]
    floor = 0.2 * float(np.abs(weights).max()) if weights.size else 0.0
    marks = []
    for segment in strong:
        rows, columns = np.nonzero(segments == segment)
        if rows.size and abs(weights[segment]) > floor:
            near = int(np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2))
            marks.append(((columns[near] + 0.5) / width, (rows[near] + 0.5) / height, float(weights[segment])))
    return marks


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
