"""torch-cnn: a small convolutional network over images of any size, grey or colour, resized to one square."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from contract.inside import LAST_LAYER, Hidden, Last, Smooth
from contract.predictors import Floats
from inference import gradients, warm, weights
from inference.course import Course
from inference.devices import Chunk, Inputs, forward
from inference.errors import ModelLoadError
from inference.fitting import Plan, fit, seeded
from inference.images import LARGEST, SMALLEST
from inference.splits import Progress, Task
from inference.warm import Former

CHUNK = {"cpu": 64, "cuda": 1024}
"""Images in one forward pass: on a CPU more than 64 outgrow its caches and are slower."""
TURN, ZOOM, SHIFT = 0.08, 0.05, 0.05
"""Bounds of the random turn (radians), zoom and shift (shares) while learning."""


class Network(nn.Module):
    """(n, channels, side, side) in 0..1 to (n, m) scores."""

    center: Tensor
    scale: Tensor

    def __init__(self, side: int, channels: int, labels: int) -> None:
        super().__init__()
        widths = (32, 64, 128) if side <= 16 else (16, 32, 64) if side <= 32 else (16, 32, 64, 96)
        layers: list[nn.Module] = []
        before = channels
        for place, width in enumerate(widths):
            layers += [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            if (place and side > 4) or side > 16:
                layers.append(nn.MaxPool2d(2))
                side //= 2
            before = width
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.3))
        self.last = nn.Linear(4 * before, labels)
        self.register_buffer("center", torch.zeros(channels, 1, 1))
        self.register_buffer("scale", torch.ones(channels, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.hidden(images))  # type: ignore[no-any-return]

    def hidden(self, images: Tensor) -> Tensor:
        """(n, h) values of the last layer before the scores."""
        return self.body((images - self.center) / self.scale)  # type: ignore[no-any-return]


class Pixels(nn.Module):
    """The same network over (n, side × side × channels) numbers, its layers in one row."""

    center: Tensor
    scale: Tensor

    def __init__(self, side: int, channels: int, network: Network) -> None:
        super().__init__()
        self.shape = (side, side, channels)
        self.layers = nn.Sequential(*network.body, network.last)
        self.register_buffer("center", network.center)
        self.register_buffer("scale", network.scale)

    def forward(self, pixels: Tensor) -> Tensor:
        images = pixels.view(-1, *self.shape).permute(0, 3, 1, 2)
        return self.layers((images - self.center) / self.scale)  # type: ignore[no-any-return]


class Engine:
    """The trained network with the shape of image it sees."""

    def __init__(self, side: int, channels: int, network: Network) -> None:
        self.side = side
        self.channels = channels
        self.network = network

    def scores(self, images: Floats) -> Floats:
        """(n, side, side, channels) in 0..1 to (n, m) scores."""

        return forward(self.network, _chunks(images), len(images), self.network.last.out_features, self._size)

    def inside(self, last: Last) -> Smooth:
        """Gradients over the pixels."""
        pixels = Pixels(self.side, self.channels, self.network)
        slopes = gradients.Gradients(pixels, gradients.of_scores(last), self.network.last.weight.device, self._size)
        owners = np.repeat(np.arange(self.side**2), self.channels)
        made = gradients.deep(pixels, last)
        return Smooth(lambda images: images.reshape(len(images), -1), owners, slopes.answer, slopes.gradient, made)

    @property
    def hidden(self) -> Hidden:
        work = self.network.hidden
        return Hidden(LAST_LAYER, lambda images: gradients.designed(work, _chunks(images), len(images), self._size))

    @property
    def _size(self) -> int:
        return CHUNK[self.network.last.weight.device.type]

    def settings(self) -> dict[str, Any]:
        return {"known": self.network.last.out_features, "side": self.side, "channels": self.channels}

    def files(self) -> dict[str, bytes]:
        return {weights.FILE: weights.dump(self.network)}


def _chunks(images: Floats) -> Chunk:
    return lambda start, stop, device: (_tensor(images[start:stop]).to(device),)


def _tensor(images: Floats) -> Tensor:
    """(n, height, width, channels) to (n, channels, height, width), kept channels last in memory."""
    return torch.from_numpy(np.asarray(images, dtype=np.float32)).permute(0, 3, 1, 2)


def train(
    images: Any,
    task: Task,
    labels: int,
    *,
    device: torch.device,
    seed: int,
    progress: Progress,
    course: Course,
    former: Former | None = None,
) -> Engine:
    """Fit a network to (n, side, side, channels) images in 0..1; task.truth counts the known labels from 0."""
    side, channels = int(images.shape[1]), int(images.shape[3])
    pixels = _tensor(images).to(device)
    with seeded(seed, device):
        network = Network(side, channels, labels)
        held = pixels[task.training]
        network.get_buffer("center").copy_(held.mean(dim=(0, 2, 3))[:, None, None])
        network.get_buffer("scale").copy_(held.std(dim=(0, 2, 3))[:, None, None].clamp_min(1e-3))
        if former is not None:
            _begin(network, former)
        _placed(network, device)

        def take(rows: Any, learning: bool) -> Inputs:
            return (varied(pixels[rows]) if learning else pixels[rows],)

        plan = _plan(len(task.training))
        fit(network, take, task, plan, device=device, seed=seed, progress=progress, course=course, name="torch-cnn")
    return Engine(side, channels, network)


def _begin(network: Network, former: Former) -> None:
    """Layers of another network of the same shape, and its last one by label."""
    other = former.engine.network
    if warm.shapes_agree(network.body, other.body):
        network.body.load_state_dict(other.body.state_dict())
        warm.outputs(network.last, other.last, former)


def _placed(network: Network, device: torch.device) -> Network:
    """On its device, kernels channels last, which is faster on a CPU."""
    network.to(device)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def varied(images: Tensor) -> Tensor:
    """Images a little turned, zoomed and shifted; edges repeat outwards."""
    n, device = len(images), images.device
    draw = torch.rand(4, n, device=device) * 2 - 1
    turn, zoom = draw[0] * TURN, 1 + draw[1] * ZOOM
    rows = [zoom * torch.cos(turn), -zoom * torch.sin(turn), draw[2] * 2 * SHIFT]
    rows += [zoom * torch.sin(turn), zoom * torch.cos(turn), draw[3] * 2 * SHIFT]
    grid = affine_grid(torch.stack(rows, dim=1).view(n, 2, 3), list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="border", align_corners=False)


def _plan(rows: int) -> Plan:
    batch = int(np.clip(2 ** round(np.log2(max(rows, 2) / 10)), 8, 64))
    steps = 1000  # so few rows are soon gone through: let the schedule run to its end, validation keeps the best state
    return Plan(batch=batch, rate=4e-3, decay=0.02, steps=steps, epochs=20, patience=12 if rows > 10 * steps else 200)


def load(settings: dict[str, Any], files: dict[str, bytes], device: torch.device) -> Engine:
    """The engine from its settings and files. Raises ModelLoadError."""
    side, channels = int(settings["side"]), int(settings["channels"])
    if not SMALLEST <= side <= LARGEST or channels not in (1, 3):
        raise ModelLoadError(f"model.json names images of {side} × {side} × {channels}")
    network = Network(side, channels, int(settings["known"]))
    weights.fill(network, files[weights.FILE])
    return Engine(side, channels, _placed(network, device))
