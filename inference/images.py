"""Encoded images as arrays of one size: what is opened, what is refused, and what becomes of depth and transparency."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from contract.predictors import Floats

MAX_PIXELS = 50_000_000
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")
"""Formats that are opened; none of them starts another program."""
SMALLEST, LARGEST = 8, 64
"""Bounds of the side that a network sees."""
_UNREADABLE = (OSError, ValueError, SyntaxError, TypeError, IndexError, KeyError, EOFError, OverflowError, ZeroDivisionError)


def open_image(data: Any, *, near: int | None = None) -> Image.Image:
    """The upright image in mode L or RGB, on white where it is transparent. Raises ValueError with the reason.

    With `near`, a JPEG may be decoded at a fraction of its size, but not below that side.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise ValueError("is not an image: no bytes were sent")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image)
            if near is not None:
                image.draft(None, (2 * near, 2 * near))
            image.load()
            return _plain(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise ValueError(f"is not an image that can be read; send one of {', '.join(FORMATS)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ValueError(f"has more than {MAX_PIXELS // 1_000_000} megapixels") from None
    except _UNREADABLE as error:
        raise ValueError(str(error) if str(error).startswith("has ") else f"is broken: {error}") from None


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"has {width * height / 1e6:.0f} megapixels; at most {MAX_PIXELS // 1_000_000} are taken")


def _plain(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB"):
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bits(image)
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        return _on_white(image)
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float64)
    highest = 1.0 if image.mode == "F" and values.max() <= 1 else 255.0 if values.max() <= 255 else 65_535.0
    return Image.fromarray(np.clip(values / highest * 255, 0, 255).round().astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    clear = image.convert("RGBA")
    white = Image.new("RGBA", clear.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, clear).convert("L" if image.mode == "LA" else "RGB")


def square(image: Image.Image, side: int, channels: int) -> Floats:
    """(side, side, channels) in 0..1, stretched where the image is not square."""
    mode = image.convert("L" if channels == 1 else "RGB")
    sized = mode if mode.size == (side, side) else mode.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(sized, dtype=np.float64).reshape(side, side, channels) / 255


def choose_side(sizes: Sequence[tuple[int, int]]) -> int:
    """The side a network sees: the median longer side of the training images, from 8 to 64."""
    return int(np.clip(np.median([max(size) for size in sizes]), SMALLEST, LARGEST))


def has_colour(image: Image.Image) -> bool:
    """Whether red, green and blue differ anywhere."""
    if image.mode == "L":
        return False
    values = np.asarray(image)
    return bool((values[..., 0] != values[..., 1]).any() or (values[..., 1] != values[..., 2]).any())


def shrunk(data: Any) -> Image.Image:
    """An opened image, made smaller where it is much larger than a network sees, so that thousands fit in memory."""
    image = open_image(data, near=LARGEST)
    if max(image.size) > 2 * LARGEST:
        ratio = 2 * LARGEST / max(image.size)
        image = image.resize((max(1, round(image.width * ratio)), max(1, round(image.height * ratio))), Image.Resampling.BILINEAR)
    return image
