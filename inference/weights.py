"""A network's weights as safetensors and back; a file that does not fit the network is refused."""

import json
from collections.abc import Mapping

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn

from inference.errors import ModelLoadError

FILE = "weights.safetensors"


def dump(module: nn.Module) -> bytes:
    """All parameters and buffers, on the CPU."""
    return pack(module.state_dict())


def pack(tensors: Mapping[str, torch.Tensor], said: dict[str, str] | None = None) -> bytes:
    """Tensors by name, on the CPU, with texts beside them."""
    return safetensors.torch.save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, said)


def unpack(data: bytes) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """What `pack` packed. Raises safetensors.SafetensorError for what it did not."""
    size = int.from_bytes(data[:8], "little")
    tensors = safetensors.torch.load(data)
    return tensors, json.loads(data[8 : 8 + size]).get("__metadata__", {})


def fill(module: nn.Module, data: bytes) -> None:
    """Put saved values into a network of the same shapes. Raises ModelLoadError naming the first that does not fit."""
    try:
        held = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise ModelLoadError(f"{FILE} is not a safetensors file: {error}") from error
    expected = module.state_dict()
    for name in sorted(set(held) ^ set(expected)):
        raise ModelLoadError(f"{FILE} {'holds an unknown' if name in held else 'lacks the'} tensor {name}")
    for name, value in held.items():
        if value.shape != expected[name].shape or value.dtype != expected[name].dtype:
            shapes = f"{_shape(value)}, where the model has {_shape(expected[name])}"
            raise ModelLoadError(f"{FILE}: {name} is {shapes}")
    module.load_state_dict(held)
    module.eval()


def _shape(value: torch.Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')}{np.array(value.shape).tolist()}"
