"""A network's log-odds and their gradients over its design, numpy in and numpy out, for those who explain it."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from contract.inside import Deep, Last
from contract.predictors import Floats
from inference.devices import Inputs, exact

LogOdds = Callable[[Tensor, str], Tensor]
"""(n, m) outputs of a network and a label to (n,) log-odds."""


@dataclass(frozen=True)
class Gradients:
    """`run` maps a tensor of (n, e) points to (n, m) outputs, `size` points at a time, in evaluation mode and full precision."""

    run: Callable[[Tensor], Tensor]
    log_odds: LogOdds
    device: torch.device
    size: int
    dtype: torch.dtype = torch.float32

    def answer(self, points: Floats, label: str) -> Floats:
        """(n, e) points to (n,) log-odds."""
        with torch.inference_mode(), exact(self.device):
            found = [self.log_odds(self.run(part), label).cpu().numpy() for part in self._parts(points)]
        return np.concatenate(found).astype(np.float64) if found else np.empty(0)

    def gradient(self, points: Floats, label: str) -> tuple[Floats, Floats]:
        """(n, e) points to (n,) log-odds and (n, e) gradients, these in the precision of the network."""
        values, slopes = list[Any](), list[Any]()
        with torch.enable_grad(), exact(self.device):
            for part in self._parts(points):
                found = self.log_odds(self.run(part.requires_grad_()), label)
                slopes.append(torch.autograd.grad(found.sum(), part)[0].cpu().numpy())
                values.append(found.detach().cpu().numpy())
        return np.concatenate(values), np.concatenate(slopes)

    def _parts(self, points: Floats) -> Iterator[Tensor]:
        for start in range(0, len(points), self.size):
            # a copy, for torch's own memory is aligned: elsewhere the last digits of products may differ from run to run
            yield torch.tensor(points[start : start + self.size], dtype=self.dtype, device=self.device)


def of_scores(last: Last) -> LogOdds:
    """The log-odds that a predictor reports, from its network's scores."""

    def log_odds(scores: Tensor, label: str) -> Tensor:
        place = last.place(label)
        if place is None:
            return scores[:, 0].double() * 0 + float(last.log_odds(np.zeros((1, len(last.known))), label)[0])
        if last.straight:
            return (scores[:, place] - scores[:, 1 - place]).double() / last.temperature
        cool = scores.double() / last.temperature
        against = torch.as_tensor(last.against(place), device=scores.device)
        return cool[:, place] + float(np.log(last.share)) - torch.logsumexp((cool + against.log())[:, against > 0], dim=1)

    return log_odds


def designed(work: Callable[..., Tensor], chunk: Callable[[int, int, torch.device], Inputs], count: int, size: int) -> Floats:
    """What a network makes of its inputs before a layer, (count, e), `size` rows at a time; single precision."""
    device = _device(work)
    with torch.inference_mode(), exact(device):
        starts = range(0, count, size)
        found = [work(*chunk(start, min(count, start + size), device)).float().cpu().numpy() for start in starts]
    return np.concatenate(found) if found else np.empty((0, 0), dtype=np.float32)


def deep(module: nn.Module, last: Last) -> Callable[[], Deep]:
    """A copy of a network in double precision, made when it is asked for."""

    def made() -> Deep:
        own = copy.deepcopy(module).double().eval()
        device = next(own.parameters()).device
        return Deep(own, lambda points: torch.as_tensor(points, dtype=torch.float64, device=device), last)

    return made


def _device(work: Any) -> torch.device:
    module = getattr(work, "__self__", work)
    device: torch.device = next(module.parameters()).device
    return device
