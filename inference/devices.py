"""Where a network runs: which device, in what precision, and what happens when its memory is full."""

import copy
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor, nn

from contract.predictors import Floats
from inference.errors import DeviceError

logger = logging.getLogger(__name__)

Inputs = tuple[Tensor, ...]
Chunk = Callable[[int, int, torch.device], Inputs]
"""The inputs of rows start to stop, on a device."""


def resolve(device: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` as a device. Raises DeviceError where it is absent or unknown."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name, _, number = device.partition(":")
    if name == "cpu" and not number:
        return torch.device("cpu")
    if name != "cuda" or (number and not number.isdecimal()):
        raise DeviceError(f"{device!r} is no device; write auto, cpu, cuda or cuda:N")
    return _cuda(device, int(number or 0))


def _cuda(device: str, number: int) -> torch.device:
    if not torch.cuda.is_available():
        raise DeviceError(f"{device} was asked for, but this machine has no CUDA device that torch can use; write auto or cpu")
    count = torch.cuda.device_count()
    if number >= count:
        raise DeviceError(f"{device} was asked for, but there are {count} CUDA devices, numbered from 0")
    return torch.device("cuda", number)


@contextmanager
def limited(threads: int | None) -> Iterator[None]:
    """At most so many threads of torch and of OpenMP inside, as many as before after; None changes nothing.

    Where a machine is busy, threads that wait for each other are several times slower than one.
    """
    if threads is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)


def precision(device: torch.device) -> AbstractContextManager[object]:
    """For learning: mixed precision on CUDA, full precision elsewhere."""
    if device.type != "cuda":
        return nullcontext()
    narrow = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.autocast("cuda", dtype=narrow)


@contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """For answering: products of matrices and convolutions in full precision on CUDA, so that a device changes no answer.

    In mixed precision probabilities moved by up to 0.013, across thresholds that held on the other device.
    """
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def forward(module: nn.Module, chunk: Chunk, count: int, width: int, size: int) -> Floats:
    """Outputs (count, width) of a network in evaluation mode and full precision, `size` rows at a time.

    Out of memory halves the size; where one row is still too much, the rest runs on the CPU with a warning.
    """
    results = np.empty((count, width))
    with torch.inference_mode():
        for start, stop, values in _outputs(module, chunk, count, size):
            results[start:stop] = values.float().cpu().numpy()
    return results


def _outputs(module: nn.Module, chunk: Chunk, count: int, size: int) -> Iterator[tuple[int, int, Tensor]]:
    device, start = _device_of(module), 0
    while start < count:
        stop = min(count, start + size)
        try:
            with exact(device):
                values = module(*chunk(start, stop, device))
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            if size > 1:
                size = max(1, min(size, count) // 2)
                continue
            module, device, size = _on_cpu(module)
            continue
        yield start, stop, values
        start = stop


def _on_cpu(module: nn.Module) -> tuple[nn.Module, torch.device, int]:
    logger.warning("the device's memory is full even for one row; scoring goes on, slower, on the CPU")
    return copy.deepcopy(module).cpu(), torch.device("cpu"), 64


def _device_of(module: nn.Module) -> torch.device:
    return next(module.parameters()).device
