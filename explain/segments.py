"""An image cut into the pieces that are explained, and what stands where a piece is hidden."""

import base64
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.filters import gaussian
from skimage.segmentation import slic

from contract.predictors import Floats, ImageModel
from contract.records import Row
from explain.errors import ItemUnreadable
from explain.target import Target

SMALL = 64
"""Images with a side up to this many pixels are cut into squares; larger ones along their edges."""
PIECES = 64
FEWEST = 16
BLUR = 0.15
"""The standard deviation of the blur, as a share of the longer side."""
CHUNK = 8_000_000
"""At most so many numbers are given to the model in one call."""


@dataclass(frozen=True)
class Pieces:
    """`numbers` (height, width) from 0 to `count` - 1, and how they were cut."""

    numbers: NDArray[np.intp]
    count: int
    how: str

    def contributions(self, weights: Floats) -> dict[str, Any]:
        height, width = self.numbers.shape
        return {"height": height, "width": width, "segments": _png(self.numbers), "weights": weights.tolist()}


def image_of(model: ImageModel, row: Row) -> Floats:
    """The image as the model sees it, (height, width, channels) in 0..1. Raises ItemUnreadable."""
    data = row.get(model.feature)
    if not isinstance(data, bytes):
        raise ItemUnreadable("This item has no image.")
    try:
        image = np.asarray(model.decode(data), dtype=np.float64)
    except Exception as error:
        raise ItemUnreadable(f"The image cannot be read: {error}") from error
    if image.ndim != 3 or not image.size or not np.isfinite(image).all():
        raise ItemUnreadable(f"The image cannot be explained: its decoded form has shape {image.shape}.")
    return image


def image_target(model: ImageModel, label: str, image: Floats, numbers: NDArray[np.intp]) -> Target:
    """The label's probability as a function of (n, pieces) of which are shown, the rest blurred; asked in chunks."""
    behind = blurred(image)
    step = max(1, CHUNK // image.size)

    def answer(shown: NDArray[np.bool_]) -> Floats:
        starts = range(0, len(shown), step)
        return np.concatenate([model.image_probabilities(hide(image, behind, numbers, shown[at : at + step])) for at in starts])

    return Target(answer, model.labels, label)


def blurred(image: Floats) -> Floats:
    """What stands for hidden pixels: the image, blurred so far that shapes are gone and brightness stays."""
    return np.asarray(gaussian(image, BLUR * max(image.shape[:2]), channel_axis=-1), dtype=np.float64)  # type: ignore[no-untyped-call]


def hide(image: Floats, behind: Floats, numbers: NDArray[np.intp], shown: NDArray[np.bool_]) -> Floats:
    """(n, pieces) of which are shown to (n, height, width, channels)."""
    return np.where(shown[:, numbers][..., None], image, behind)


def squares(height: int, width: int) -> Pieces:
    """A grid of about 49 to 64 squares; single pixels where there are no more."""
    side = math.ceil(math.sqrt(height * width / PIECES))
    down, across = np.arange(height) // side, np.arange(width) // side
    numbers = down[:, None] * (across[-1] + 1) + across
    return Pieces(numbers, int(numbers.max()) + 1, f"grid of {side} px")


def along_edges(image: Floats) -> Pieces:
    """SLIC superpixels (Achanta et al. 2012) for a large image; squares for a small one, or where SLIC finds too few."""
    height, width, channels = image.shape
    if min(height, width) <= SMALL:
        return squares(height, width)
    picture = image if channels == 3 else image.mean(axis=-1)
    found = slic(picture, n_segments=PIECES, compactness=10, sigma=1, channel_axis=-1 if channels == 3 else None)
    numbers = np.unique(found, return_inverse=True)[1].reshape(height, width)
    count = int(numbers.max()) + 1
    return Pieces(numbers, count, f"slic, {count} pieces") if count >= FEWEST else squares(height, width)


def _png(numbers: NDArray[np.intp]) -> str:
    file = io.BytesIO()
    Image.fromarray(numbers.astype(np.uint16)).save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode()
