"""An image cut into the pieces that are explained, and what stands where a piece is hidden."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.filters import gaussian
from skimage.segmentation import slic

from contract.predictors import Floats, ImageModel
from contract.records import Row
from explain.chunked import chunked
from explain.errors import ItemUnreadable
from explain.sliced import Joined
from explain.target import Target

SMALL = 64
"""Images with a side up to this many pixels are cut into squares; larger ones along their edges."""
PIECES = 64
FEWEST = 16
BLUR = 0.15
"""The standard deviation of the blur, as a share of the longer side."""


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
        image = np.ascontiguousarray(model.decode(data), dtype=np.float64)
    except Exception as error:
        raise ItemUnreadable(f"The image cannot be read: {str(error).rstrip('.')}.") from error
    if image.ndim != 3 or not image.size or not np.isfinite(image).all():
        raise ItemUnreadable(f"The image cannot be explained: its decoded form has shape {image.shape}.")
    return image


class Hidden:
    """An image with pieces hidden, made slice by slice from (n, pieces) of which are shown.

    Pixels are chosen as bits, which is faster than a masked copy. In single precision for a `model` that reads images so
    (`single`), which halves what is moved and changes no answer.
    """

    def __init__(
        self, model: ImageModel, image: Floats, behind: Floats, numbers: NDArray[np.intp], shown: NDArray[np.bool_]
    ) -> None:
        self.shape, channels = image.shape, image.shape[-1]
        kinds: tuple[Any, Any] = (np.float32, np.int32) if getattr(model, "single", False) else (np.float64, np.int64)
        self._kind, bits = kinds
        self._behind = behind.astype(self._kind).ravel().view(bits)
        self._change = self._behind ^ image.astype(self._kind).ravel().view(bits)
        self._numbers, self._shown = numbers.ravel().repeat(channels), -shown.astype(bits)

    def __len__(self) -> int:
        return len(self._shown)

    def __getitem__(self, part: slice) -> Floats:
        made = self._shown[part].take(self._numbers, axis=1)
        made &= self._change
        made ^= self._behind
        return np.asarray(made.view(self._kind).reshape(-1, *self.shape))


def answered(model: ImageModel, questions: Sequence[Hidden]) -> Floats:
    """(n, k) probabilities of what several images ask of a chunked model."""
    if len({asked.shape for asked in questions}) > 1:
        return np.concatenate([answered(model, [asked]) for asked in questions])
    images: Any = Joined(questions)
    return model.image_probabilities(images)


def image_target(model: ImageModel, label: str, image: Floats, numbers: NDArray[np.intp]) -> Target:
    """The label's probability as a function of (n, pieces) of which are shown, the rest blurred; asked in chunks."""
    behind, asked = blurred(image), chunked(model)
    return Target(lambda shown: answered(asked, [Hidden(model, image, behind, numbers, shown)]), model.labels, label)


def blurred(image: Floats) -> Floats:
    """What stands for hidden pixels: the image, blurred so far that shapes are gone and brightness stays."""
    return np.ascontiguousarray(gaussian(image, BLUR * max(image.shape[:2]), channel_axis=-1), dtype=np.float64)  # type: ignore[no-untyped-call]


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
