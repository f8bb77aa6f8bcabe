"""Fitting a network: batches, early stopping on validation, the best state kept, and no trace left in torch's global state."""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inference.devices import Inputs, precision
from inference.splits import Integers, Progress, Task

Take = Callable[[Integers, bool], Inputs]
"""Row numbers, and whether this is for learning (so that inputs may be varied), to the network's inputs."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how boldly to learn: `epochs` or `steps`, whichever is longer, but at most 200 epochs; patience in epochs."""

    batch: int
    rate: float
    decay: float
    steps: int
    epochs: int
    patience: int
    smoothing: float = 0.0


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """torch's global generators start from `seed` inside and are put back after."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        yield


def fit(module: nn.Module, take: Take, task: Task, plan: Plan, *, device: torch.device, seed: int, progress: Progress) -> None:
    """Train in place and leave the state with the least validation loss (the last one, where nothing validates)."""
    shuffle = np.random.default_rng(seed)
    truth = torch.as_tensor(task.truth, device=device)
    weights = torch.as_tensor(task.weights / task.weights[task.training].mean(), dtype=torch.float32, device=device)
    per_epoch = math.ceil(len(task.training) / plan.batch)
    epochs = min(200, max(plan.epochs, math.ceil(plan.steps / per_epoch)))
    optimizer = torch.optim.AdamW(module.parameters(), lr=plan.rate, weight_decay=plan.decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, total_steps=epochs * per_epoch, pct_start=0.15)
    best, kept, waited = math.inf, copy.deepcopy(module.state_dict()), 0
    for epoch in range(epochs):
        module.train()
        for rows in _batches(shuffle.permutation(task.training), plan.batch):
            with precision(device):
                losses = cross_entropy(
                    module(*take(rows, True)).float(), truth[rows], reduction="none", label_smoothing=plan.smoothing
                )
            optimizer.zero_grad(set_to_none=True)
            (losses * weights[rows]).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        loss = _validation_loss(module, take, task.validation, truth, weights, plan.batch)
        progress((epoch + 1) / epochs, f"epoch {epoch + 1} of {epochs}")
        waited = 0 if not len(task.validation) or loss < best - 1e-4 else waited + 1
        if not len(task.validation) or loss < best:
            best, kept = loss, copy.deepcopy(module.state_dict())
        if waited > plan.patience:
            break
    module.load_state_dict(kept)
    module.eval()


def _batches(rows: Integers, size: int) -> Iterator[Integers]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _validation_loss(module: nn.Module, take: Take, rows: Integers, truth: Tensor, weights: Tensor, size: int) -> float:
    module.eval()
    total = 0.0
    with torch.inference_mode():
        for some in _batches(rows, max(size, 256)):
            losses = cross_entropy(module(*take(some, False)).float(), truth[some], reduction="none")
            total += float((losses * weights[some]).sum())
    return total / max(1, len(rows))
