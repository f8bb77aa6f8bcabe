import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from inference import images
from tests.inference.data import encoded

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


def test_grey_stays_as_it_is() -> None:
    held = images.square(images.open_image(encoded(GREY)), 8, 1)
    assert held.shape == (8, 8, 1)
    assert np.array_equal((held[..., 0] * 255).round(), GREY)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGBA", (9, 7), (255, 0, 0, 128)), Image.new("LA", (9, 7), (9, 0)), Image.new("P", (9, 7), 3),
        Image.new("1", (9, 7), 1), Image.new("RGB", (1, 1), (1, 2, 3)), Image.new("L", (500, 3), 7),
        Image.fromarray(np.full((9, 7), 40_000, dtype=np.uint16)),
    ],
)  # fmt: skip
def test_every_mode_becomes_one_shape(image: Image.Image, channels: int) -> None:
    held = images.square(images.open_image(encoded(image)), 16, channels)
    assert held.shape == (16, 16, channels)
    assert held.dtype == np.float64
    assert 0 <= held.min() <= held.max() <= 1


def test_cmyk() -> None:
    data = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")
    red = images.square(images.open_image(data), 8, 3)[4, 4]
    assert red[0] > 0.9 > 0.2 > red[1]


def test_sixteen_bits_keep_their_brightness() -> None:
    half = Image.fromarray(np.full((8, 8), 32_768, dtype=np.uint16))
    assert images.square(images.open_image(encoded(half)), 8, 1).mean() == pytest.approx(0.5, abs=0.01)


def test_clear_pixels_are_white() -> None:
    clear = encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)))
    assert images.square(images.open_image(clear), 8, 3).min() == 1
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([10, 20, 30] * 256)
    assert images.square(images.open_image(encoded(palette, transparency=0)), 8, 3).min() == 1


def test_orientation_is_applied() -> None:
    picture = Image.fromarray(np.vstack([np.full((8, 16), 255, np.uint8), np.zeros((8, 16), np.uint8)]))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = images.square(images.open_image(encoded(picture, "JPEG", exif=exif, quality=95)), 16, 1)[..., 0]
    assert turned[:, 12:].mean() > 0.9
    assert turned[:, :4].mean() < 0.1


def _huge() -> bytes:
    """A PNG that says it is 10,000 × 10,000."""
    header = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not an image"), (b"hello", "not an image"), (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image"),
        (encoded(np.zeros((64, 64), np.uint8) + np.arange(64, dtype=np.uint8))[:60], "is broken|not an image"),
        (encoded(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8), "JPEG")[:900], "is broken"),
        (_huge(), "megapixels"), ("text", "no bytes"), (None, "no bytes"), ({"blob": "sha256:00"}, "no bytes"),
    ],
)  # fmt: skip
def test_what_is_refused(data: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        images.open_image(data)


def test_limit_is_fifty_megapixels() -> None:
    target = io.BytesIO()
    Image.new("1", (7_072, 7_072)).save(target, "PNG")
    with pytest.raises(ValueError, match="at most 50"):
        images.open_image(target.getvalue())
    assert images.open_image(encoded(Image.new("1", (7_071, 7_071)))).size == (7_071, 7_071)


def test_side_follows_the_images_within_bounds() -> None:
    assert images.choose_side([(8, 8)]) == 8
    assert images.choose_side([(28, 20), (28, 28), (10, 28)]) == 28
    assert images.choose_side([(1, 1)]) == 8
    assert images.choose_side([(4000, 3000)]) == 64


def test_colour() -> None:
    assert not images.has_colour(Image.new("RGB", (4, 4), (7, 7, 7)))
    assert images.has_colour(Image.new("RGB", (4, 4), (7, 7, 8)))


def test_large_images_are_made_smaller_while_they_wait() -> None:
    assert max(images.shrunk(encoded(Image.new("L", (1_000, 10)))).size) <= 2 * images.LARGEST
