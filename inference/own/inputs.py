"""What a brought model is given: tables as numbers, and images at one size in the order of axes that it wants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

from contract.predictors import Floats
from contract.project import Project
from contract.records import Row
from inference import images
from inference.errors import ModelAddError
from inference.own.engine import Cells

Layout = Literal["nchw", "nhwc"]
Size = tuple[int, int, int]
"""Height, width and channels."""


def columns(rows: Sequence[Row], features: Sequence[str]) -> Cells:
    """Rows as columns, in the order of the features; a value that is not there is missing."""
    return {name: [row.get(name) for row in rows] for name in features}


def taken(cells: Cells, some: Sequence[int]) -> Cells:
    """Some rows of a table."""
    return {name: [values[n] for n in some] for name, values in cells.items()}


def count(cells: Cells) -> int:
    return len(next(iter(cells.values()), ()))


def numeric(project: Project, what: str) -> tuple[str, ...]:
    """The features of a project of numbers and booleans. Raises ModelAddError naming the first of another type."""
    for name, feature in project.input.features.items():
        if feature.type not in ("number", "boolean"):
            raise ModelAddError(
                f"{what} takes a table of numbers, and {name} is a {feature.type}; bring a function that turns the rows into "
                "numbers and asks the model (python:FILE.py:FUNCTION), or a scikit-learn Pipeline"
            )
    return tuple(project.input.features)


def matrix(cells: Cells, features: Sequence[str]) -> Floats:
    """(n, d) of numbers, booleans as 0 and 1, a missing value NaN. Raises ValueError naming a value that is no number."""
    result = np.empty((count(cells), len(features)))
    for place, name in enumerate(features):
        try:
            result[:, place] = [np.nan if value is None else value for value in cells[name]]
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{name} holds a value that is no number") from None
        except KeyError:
            raise ValueError(f"{name} is not in the rows, and the model needs it") from None
    return result


@dataclass(frozen=True, slots=True)
class Picture:
    """The images that a model takes: their size and the order of their axes."""

    size: Size
    layout: Layout

    def array(self, given: Floats) -> Floats:
        """(n, height, width, channels) in the model's order. Raises ValueError for another size."""
        if given.ndim != 4 or given.shape[1:] != self.size:
            raise ValueError(f"the model sees images of shape {self.size}; these have shape {given.shape[1:]}")
        return np.ascontiguousarray(given.transpose(0, 3, 1, 2)) if self.layout == "nchw" else given

    def settings(self) -> dict[str, Any]:
        return {"size": list(self.size), "layout": self.layout}


def picture(shape: Sequence[int | None], own: Size | None) -> Picture:
    """What a model's input of four axes takes, None being an axis of any length; `own` is the size of the sample's images.

    Raises ModelAddError where the channels cannot be told or the size is open and the sample has no one size.
    """
    for layout, at in (("nchw", 1), ("nhwc", 3)):
        if len(shape) == 4 and shape[at] in (1, 3):
            return Picture(_size(shape, at, own), "nchw" if layout == "nchw" else "nhwc")
    axes = ", ".join("any" if each is None else str(each) for each in shape)
    raise ModelAddError(f"the model's input has the axes ({axes}); images are (rows, 1 or 3 channels, height, width)")


def _size(shape: Sequence[int | None], at: int, own: Size | None) -> Size:
    sides = [shape[n] for n in (1, 2, 3) if n != at]
    if None in sides and own is None:
        raise ModelAddError(f"the model takes images of any size, and the sample's differ in size; {_EQUAL}")
    height, width = (each if each is not None else (own or (0, 0))[n] for n, each in enumerate(sides))
    return height, width, int(shape[at] or 0)


_EQUAL = "bring them to one size first, or export a model with a fixed size"


def read_picture(settings: Mapping[str, Any]) -> Picture:
    """As settings hold it. Raises ValueError."""
    height, width, channels = (int(each) for each in settings["size"])
    layout = settings["layout"]
    if not (1 <= height * width <= images.MAX_PIXELS and channels in (1, 3) and layout in ("nchw", "nhwc")):
        raise ValueError(f"images of {height} × {width} × {channels}, {layout}, are none that a model sees")
    return Picture((height, width, channels), layout)


def opened(rows: Sequence[Row], feature: str) -> list[Image.Image]:
    """The images of a sample that can be opened. Raises ModelAddError where there is none."""
    found, problem = list[Image.Image](), "there are no rows"
    for row in rows:
        try:
            found.append(images.open_image(row.get(feature)))
        except ValueError as error:
            problem = str(error)
    if not found:
        raise ModelAddError(f"no image of the sample can be opened: {feature} {problem}")
    return found


def own_size(pictures: Sequence[Image.Image]) -> Size | None:
    """The one size of all images, with three channels where any has colour; None where they differ."""
    sizes = {image.size for image in pictures}
    if len(sizes) != 1:
        return None
    width, height = sizes.pop()
    return height, width, 3 if any(map(images.has_colour, pictures)) else 1


def pixels(image: Image.Image, size: Size) -> Floats:
    """(height, width, channels) in 0..1, stretched where the image has another size."""
    height, width, channels = size
    plain = image.convert("L" if channels == 1 else "RGB")
    sized = plain if plain.size == (width, height) else plain.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(sized, dtype=np.float64).reshape(height, width, channels) / 255


def stacked(pictures: Sequence[Image.Image], size: Size) -> Floats:
    """(n, height, width, channels) in 0..1."""
    return np.stack([pixels(image, size) for image in pictures])
