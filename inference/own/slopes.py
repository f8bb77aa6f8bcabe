"""Gradients of an exported program over the numbers that it is given, where it can be followed backwards."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from contract.inside import Design, Places, Smooth
from contract.predictors import Floats
from inference.gradients import Gradients
from inference.own import outputs

logger = logging.getLogger(__name__)
CLIP = 1e-6
"""Probabilities are kept this far from 0 and 1 before log-odds are taken."""


@dataclass(frozen=True)
class Program:
    """A program's answers as a tensor: `fixed` rows at once where it asks for that, else at least `least`."""

    run: Callable[[Tensor], Any]
    meaning: outputs.Meaning
    labels: tuple[str, ...]
    fixed: int | None
    least: int

    def answer(self, points: Tensor) -> Tensor:
        """(n, ...) inputs to (n, k) or (n, 1) answers; too few rows are filled up with the first."""
        wanted, rows = self.fixed or self.least, len(points)
        if rows < wanted:
            points = torch.cat([points, points[:1].expand(wanted - rows, *points.shape[1:])])
        found: Tensor = outputs.chosen(self.run(points))[1]
        return found[:rows].reshape(rows, -1).double()

    def log_odds(self, answers: Tensor, label: str) -> Tensor:
        """What the answers mean for one label."""
        place = self.labels.index(label)
        if self.meaning == "log-odds":
            others = [at for at in range(len(self.labels)) if at != place]
            return answers[:, place] - torch.logsumexp(answers[:, others], dim=1)
        if self.meaning == "second log-odds":
            return answers[:, 0] if place else -answers[:, 0]
        held = answers[:, place] if self.meaning == "probabilities" else answers[:, 0]
        return torch.logit(held.clamp(CLIP, 1 - CLIP)) * (1 if self.meaning == "probabilities" or place else -1)


def view(
    program: Program,
    shaped: Callable[[Tensor], Tensor],
    design: Design,
    owners: Places,
    where: tuple[torch.device, torch.dtype, int],
    sample: Floats,
) -> Smooth | None:
    """The program over a design whose points `shaped` brings to the program's axes; `where` it runs, in which precision, and how
    many rows at once. None for a program that cannot be followed backwards at the `sample` (n, e)."""
    device, dtype, size = where
    slopes = Gradients(lambda points: program.answer(shaped(points)), program.log_odds, device, program.fixed or size, dtype)
    try:
        _, found = slopes.gradient(sample, program.labels[0])
    except Exception as error:
        logger.info("the program has no gradients: %s", outputs.first_line(error))
        return None
    if not np.isfinite(found).all():
        return None
    return Smooth(design, owners, slopes.answer, slopes.gradient)
