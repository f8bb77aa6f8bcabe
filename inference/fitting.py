"""Fitting a network: batches, early stopping on validation, the best state kept, and no trace left in torch's global state."""

import copy
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inference import weights
from inference.course import Course
from inference.devices import Inputs, precision
from inference.splits import Integers, Progress, Task

Take = Callable[[Integers, bool], Inputs]
"""Row numbers, and whether this is for learning (so that inputs may be varied), to the network's inputs."""
ENOUGH = 1e-4
"""By how much the validation loss must fall for patience to begin anew."""


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


def fit(
    module: nn.Module,
    take: Take,
    task: Task,
    plan: Plan,
    *,
    device: torch.device,
    seed: int,
    progress: Progress,
    course: Course,
    name: str,
) -> None:
    """Train in place and leave the state with the least validation loss (the last one, where nothing validates).

    Goes on from `course.held` to the same bits as if it had never been cut off, on the same device with as many threads; tells
    `course.curves` under `name`.
    """
    learning = _Learning(module, take, task, plan, device, seed)
    if course.held is not None:
        learning.restore(course.held)
    course.curves[name] = learning.curve
    while learning.goes_on:
        for _ in learning.batches():
            course.keep(learning.state, learning.epoch)
        learning.judge()
        progress(learning.epoch / learning.epochs, f"epoch {learning.epoch} of {learning.epochs}")
        course.keep(learning.state, learning.epoch)
    learning.end()


class _Learning:
    """A training under way. All that changes is in `state`: the rest follows from the rows, the plan and the seed."""

    def __init__(self, module: nn.Module, take: Take, task: Task, plan: Plan, device: torch.device, seed: int) -> None:
        self.module, self.take, self.task, self.plan, self.device = module, take, task, plan, device
        self.truth = torch.as_tensor(task.truth, device=device)
        share = task.weights / task.weights[task.training].mean()
        self.weights = torch.as_tensor(share, dtype=torch.float32, device=device)
        per_epoch = math.ceil(len(task.training) / plan.batch)
        self.epochs = min(200, max(plan.epochs, math.ceil(plan.steps / per_epoch)))
        self.optimizer = torch.optim.AdamW(module.parameters(), lr=plan.rate, weight_decay=plan.decay, fused=True)
        steps = self.epochs * per_epoch
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, plan.rate, total_steps=steps, pct_start=0.15)
        self.shuffle = np.random.default_rng(seed)
        self.order = self.shuffle.bit_generator.state
        self.epoch, self.begin, self.waited = 0, 0, 0
        self.summed = torch.zeros((), dtype=torch.float64, device=device)
        self.best, self.kept = math.inf, copy.deepcopy(module.state_dict())
        self.curve: dict[str, Any] = {"training": [], "validation": [], "best": None, "ended": None}

    @property
    def goes_on(self) -> bool:
        return self.epoch < self.epochs and self.waited <= self.plan.patience

    def batches(self) -> Iterator[None]:
        """Learn from what is left of an epoch, and pause after each batch."""
        self.shuffle.bit_generator.state = self.order
        rows = self.shuffle.permutation(self.task.training)
        self.module.train()
        while self.begin < len(rows):
            self._learn(rows[self.begin : self.begin + self.plan.batch])
            self.begin += self.plan.batch
            if self.begin < len(rows):
                yield
        self.order = self.shuffle.bit_generator.state
        self.begin = 0

    def _learn(self, rows: Integers) -> None:
        with precision(self.device):
            scores = self.module(*self.take(rows, True)).float()
            losses = cross_entropy(scores, self.truth[rows], reduction="none", label_smoothing=self.plan.smoothing)
        weighed = losses * self.weights[rows]
        self.optimizer.zero_grad(set_to_none=True)
        weighed.mean().backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.schedule.step()
        self.summed += weighed.detach().sum()

    def judge(self) -> None:
        """End an epoch: the loss on the rows that validate, and whether it is the least so far."""
        held, loss = len(self.task.validation) > 0, self._validation_loss()
        self.epoch += 1
        self.curve["training"].append(round(float(self.summed) / len(self.task.training), 6))
        self.curve["validation"].append(round(loss, 6) if held else None)
        self.summed.zero_()
        self.waited = 0 if not held or loss < self.best - ENOUGH else self.waited + 1
        if not held or loss < self.best:
            self.best, self.kept, self.curve["best"] = loss, copy.deepcopy(self.module.state_dict()), self.epoch

    def end(self) -> None:
        """The best state is the model."""
        early = self.epoch < self.epochs
        why = f"no better for {self.waited} epochs" if early else "as planned"
        self.curve["ended"] = f"after epoch {self.epoch} of {self.epochs}: {why}"
        self.module.load_state_dict(self.kept)
        self.module.eval()

    def state(self) -> bytes:
        """All that changes, as safetensors: tensors by name, and the rest as JSON beside them."""
        moments, groups = self._moments()
        tensors = {**_named("module", self.module.state_dict()), **_named("kept", self.kept), **moments}
        tensors |= _named("random", {str(n): each for n, each in enumerate(_random(self.device))}) | {"summed": self.summed}
        rest = {
            "groups": groups, "schedule": self.schedule.state_dict(), "order": self.order, "curve": self.curve,
            "place": (self.epoch, self.begin, self.waited, self.best),
        }  # fmt: skip
        return weights.pack(tensors, {"rest": json.dumps(rest)})

    def restore(self, data: bytes) -> None:
        """Go on where `state` was taken."""
        tensors, said = weights.unpack(data)
        rest = json.loads(said["rest"])
        self.module.load_state_dict(_within("module", tensors))
        self.kept = {name: value.to(self.device) for name, value in _within("kept", tensors).items()}
        moments = self._laid_out(_by_parameter(_within("optimizer", tensors)))
        self.optimizer.load_state_dict({"state": moments, "param_groups": rest["groups"]})
        self.schedule.load_state_dict(rest["schedule"])
        self.order, self.summed, self.curve = rest["order"], tensors["summed"].to(self.device), rest["curve"]
        self.epoch, self.begin, self.waited, self.best = rest["place"]
        _set_random(self.device, [state for _, state in sorted(_within("random", tensors).items())])

    def _moments(self) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
        """The optimizer's tensors by name, and its settings."""
        held = self.optimizer.state_dict()
        named = {f"{n}.{name}": value for n, each in held["state"].items() for name, value in each.items()}
        return _named("optimizer", named), held["param_groups"]

    def _laid_out(self, moments: Mapping[int, Mapping[str, Tensor]]) -> dict[int, dict[str, Tensor]]:
        """Each tensor in memory as its parameter is: the fused step goes through both side by side."""
        owners = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        return {n: {name: _as(value, owners[n]) for name, value in each.items()} for n, each in moments.items()}

    def _validation_loss(self) -> float:
        self.module.eval()
        total, size = 0.0, max(self.plan.batch, 256)
        rows = self.task.validation
        with torch.inference_mode():
            for begin in range(0, len(rows), size):
                some = rows[begin : begin + size]
                losses = cross_entropy(self.module(*self.take(some, False)).float(), self.truth[some], reduction="none")
                total += float((losses * self.weights[some]).sum())
        return total / max(1, len(rows))


def _named(part: str, held: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{part}/{name}": value for name, value in held.items()}


def _within(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(f"{part}/"): value for name, value in tensors.items() if name.startswith(f"{part}/")}


def _by_parameter(moments: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    found: dict[int, dict[str, Tensor]] = {}
    for name, value in moments.items():
        n, _, called = name.partition(".")
        found.setdefault(int(n), {})[called] = value
    return found


def _as(value: Tensor, owner: Tensor) -> Tensor:
    return torch.empty_like(owner, dtype=value.dtype).copy_(value) if value.shape == owner.shape else value


def _random(device: torch.device) -> list[Tensor]:
    """Where torch's generators are."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def _set_random(device: torch.device, states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
