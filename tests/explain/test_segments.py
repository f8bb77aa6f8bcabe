import base64
import io
from dataclasses import dataclass

import numpy as np
import pytest
from explained_models import Picture, png, sigmoid
from PIL import Image

from explain.chunked import chunked
from explain.errors import ItemUnreadable
from explain.segments import Hidden, along_edges, answered, blurred, image_of, image_target, squares


@pytest.mark.parametrize(
    ("height", "width", "count"), [(8, 8, 64), (28, 28, 49), (32, 32, 64), (64, 64, 64), (3, 5, 15), (100, 20, 68)]
)
def test_squares(height: int, width: int, count: int) -> None:
    pieces = squares(height, width)
    assert pieces.count == count
    assert set(np.unique(pieces.numbers)) == set(range(count))
    assert squares(8, 8).how == "grid of 1 px"


def test_large_images_are_cut_along_edges_and_flat_ones_still_into_pieces() -> None:
    rng = np.random.default_rng(0)
    image = np.zeros((120, 160, 3))
    image[30:90, 40:120] = rng.uniform(0.5, 1, 3)
    pieces = along_edges(image + rng.normal(0, 0.02, image.shape).clip(0, 0.1))
    assert "slic" in pieces.how
    assert 16 <= pieces.count <= 100
    assert set(np.unique(pieces.numbers)) == set(range(pieces.count))
    inside = pieces.numbers[32:88, 42:118]
    outside = np.concatenate([pieces.numbers[:28].ravel(), pieces.numbers[92:].ravel()])
    assert not set(inside.ravel()) & set(outside)
    assert along_edges(np.full((100, 100, 1), 0.5)).count >= 16


def test_segments_travel_as_a_16_bit_png() -> None:
    pieces = squares(28, 20)
    sent = pieces.contributions(np.arange(pieces.count) / 7)
    picture = Image.open(io.BytesIO(base64.b64decode(sent["segments"])))
    assert picture.mode == "I;16"
    assert (np.asarray(picture) == pieces.numbers).all()
    assert (sent["height"], sent["width"], len(sent["weights"])) == (28, 20, pieces.count)


def test_hidden_pieces_show_the_blur() -> None:
    image = np.random.default_rng(0).uniform(size=(8, 8, 3))
    numbers = squares(8, 8).numbers
    shown = np.zeros((2, 64), dtype=bool)
    shown[1, 9] = True
    one, other = Hidden(Picture(lambda images: images), image, blurred(image), numbers, shown)[:]
    assert (one == blurred(image)).all()
    assert (other[1, 1] == image[1, 1]).all()
    assert (other != one).any(axis=-1).sum() == 1
    assert blurred(image).std() < image.std() / 3


@dataclass
class Single(Picture):
    single: bool = True


def test_a_model_that_reads_single_precision_gets_it_and_answers_the_same() -> None:
    image = np.random.default_rng(0).uniform(size=(8, 8, 3))
    shown = np.random.default_rng(1).uniform(size=(20, 64)) < 0.5
    kinds = []

    def answer(images: np.ndarray) -> np.ndarray:
        kinds.append(images.dtype)
        return sigmoid(np.float32(images).mean(axis=(1, 2, 3)))

    found = [image_target(kind(answer), "yes", image, squares(8, 8).numbers).probability(shown) for kind in (Picture, Single)]
    assert set(kinds) == {np.dtype(np.float64), np.dtype(np.float32)}
    assert (found[0] == found[1]).all()


def test_large_images_are_asked_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("explain.chunked.NUMBERS", 8 * 8 * 4)
    sizes = []

    def answer(images: np.ndarray) -> np.ndarray:
        sizes.append(len(images))
        return np.full((len(images), 2), 0.5)

    target = image_target(Picture(answer), "yes", np.ones((8, 8, 1)), squares(8, 8).numbers)
    assert len(target.probability(np.ones((25, 64), dtype=bool))) == 25
    assert max(sizes) == 4
    assert sum(sizes) == 25


def test_images_of_several_sizes_are_asked_about_together() -> None:
    model = chunked(Picture(lambda images: sigmoid(images.mean(axis=(1, 2, 3)))))
    asked = [
        Hidden(
            model,
            np.full((side, side, 1), value),
            np.zeros((side, side, 1)),
            squares(side, side).numbers,
            np.ones((3, 64), dtype=bool),
        )
        for side, value in ((8, 0.5), (8, 1.0), (16, 2.0))
    ]
    np.testing.assert_allclose(answered(model, asked), sigmoid(np.repeat([0.5, 1.0, 2.0], 3)), atol=1e-12)


@pytest.mark.parametrize("data", [None, "text", b"no image"])
def test_what_cannot_be_read_is_told(data: object) -> None:
    with pytest.raises(ItemUnreadable, match="image"):
        image_of(Picture(lambda images: images), {"image": data})
    assert image_of(Picture(lambda images: images), {"image": png(np.ones((4, 4)))}).shape == (4, 4, 1)
