"""Models that show their inside: built-in ones on real rows, and small ones made for one question."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from explained_models import Table, numbers
from torch import nn

from contract.inside import Last, Linear, Smooth, View
from contract.predictors import Encoded, Floats
from contract.records import Row
from inference import gradients
from inference.training import train
from tests.inference import data

Fitted = tuple[Any, list[Row]]


@cache
def fitted(kind: str, name: str, rows: int = 150, columns: int | None = None, labels: tuple[str, ...] = ()) -> Fitted:
    """A built-in model of a data set, of its first columns alone where so many are said, and the rows it did not learn from."""
    project, (held, truth) = getattr(data, name)()
    if columns is not None:
        names = list(project.input.features)[:columns]
        held = [{each: row[each] for each in names} for row in held]
        project = data.project("tabular", list(project.labels), {each: {"type": "number"} for each in names})
    if labels:
        project = project.model_copy(update={"labels": labels})
    return train(project, held[:rows], truth[:rows], trainer=kind, device="cpu").predictor, held[rows:]


@dataclass
class Shown(Table):
    """A table model that shows this of its inside."""

    inside: View | None = None


def straight(weights: Floats, names: list[str], last: Last) -> Shown:
    """scores = matrix @ weights (d, m), a missing value 0, shown as linear."""

    def design(encoded: Encoded) -> Floats:
        return np.nan_to_num(encoded.matrix)

    view = Linear(design, np.arange(len(names)), weights, np.zeros(weights.shape[1]), last)

    def answer(encoded: Encoded) -> Floats:
        odds = [last.log_odds(design(encoded) @ weights, label) for label in last.labels]
        return 1 / (1 + np.exp(-np.column_stack(odds)))

    return Shown(numbers(names), answer, last.labels, view)


def network(module: nn.Module, names: list[str], *, layers: bool = True) -> Shown:
    """A network of two scores over plain numbers, shown as smooth."""
    last = Last(("no", "yes"), (0, 1))
    slopes = gradients.Gradients(module.eval(), gradients.of_scores(last), torch.device("cpu"), 4096)
    view = Smooth(
        lambda encoded: encoded.matrix,
        np.arange(len(names)),
        slopes.answer,
        slopes.gradient,
        gradients.deep(module, last) if layers else None,
    )

    def answer(encoded: Encoded) -> Floats:
        p = 1 / (1 + np.exp(-slopes.answer(encoded.matrix, "yes")))
        return np.column_stack([1 - p, p])

    return Shown(numbers(names), answer, last.labels, view)


class LogOdds(nn.Module):
    """What the library is given: points of a design to a column of log-odds for each label, by the network and its last step."""

    def __init__(self, module: nn.Module, last: Last) -> None:
        super().__init__()
        self.module, self.last = module, last

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        scores, log_odds = self.module(points), gradients.of_scores(self.last)
        return torch.stack([log_odds(scores, label) for label in self.last.labels], dim=1)


def weights_of(explanation: Any) -> Floats:
    assert explanation.problem is None, explanation.problem
    if explanation.modality == "image":
        return np.array(explanation.contributions["weights"])
    return np.array([part["contribution"] for part in explanation.contributions])
