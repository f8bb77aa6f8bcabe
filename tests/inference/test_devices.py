import logging

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from inference import devices
from inference.errors import DeviceError, InferenceError

absent = pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")


class Narrow(nn.Module):
    """Has room for so many rows at once."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.room = room
        self.seen: list[int] = []

    def forward(self, values: Tensor) -> Tensor:
        self.seen.append(len(values))
        if len(values) > self.room:
            raise torch.OutOfMemoryError("full")
        return self.layer(values)  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: object) -> "Narrow":
        copied = Narrow(1_000)
        copied.load_state_dict(self.state_dict())
        return copied


def run(module: Narrow, size: int) -> np.ndarray:
    values = torch.arange(40.0).reshape(20, 2)
    found = devices.forward(module, lambda start, stop, device: (values[start:stop].to(device),), 20, 2, size)
    assert np.allclose(found, module.layer(values).detach().numpy(), atol=1e-5)
    return found


def test_rows_come_in_chunks() -> None:
    module = Narrow(100)
    run(module, 8)
    assert module.seen == [8, 8, 4]


def test_full_memory_halves_the_chunk() -> None:
    module = Narrow(3)
    run(module, 4096)
    assert module.seen == [20, 10, 5, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]


def test_memory_too_small_for_one_row_goes_to_the_cpu_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        run(Narrow(0), 4)
    assert "the device's memory is full" in caplog.text


def test_no_rows() -> None:
    assert devices.forward(Narrow(1), lambda *_: (), 0, 3, 8).shape == (0, 3)


@pytest.mark.parametrize("name", ["gpu", "cpu:1", "cuda:x", "cuda:-1", "", "mps"])
def test_unknown_device(name: str) -> None:
    with pytest.raises(DeviceError, match="is no device"):
        devices.resolve(name)


@absent
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:3"])
def test_cuda_where_there_is_none(name: str) -> None:
    with pytest.raises(DeviceError, match="no CUDA device"):
        devices.resolve(name)
    assert issubclass(DeviceError, InferenceError)


@absent
def test_auto_without_cuda() -> None:
    assert devices.resolve("auto") == devices.resolve("cpu") == torch.device("cpu")


def test_cuda_number_beyond_those_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.resolve("cuda:1") == torch.device("cuda:1")
    with pytest.raises(DeviceError, match="there are 2 CUDA devices"):
        devices.resolve("cuda:2")


def test_threads_are_bounded_inside_and_put_back() -> None:
    before = torch.get_num_threads()
    with devices.limited(2):
        assert torch.get_num_threads() == 2
    with devices.limited(None):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before
