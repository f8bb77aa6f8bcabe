"""How a training goes: the losses of each epoch, why it ended, and where it stood, so that one that was cut off goes on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

State = Callable[[], bytes]
"""What is to be kept of a training to go on from here to the same bits; made when it is asked for."""
Keep = Callable[[State, int], None]
"""Told after every batch with the state and the epochs that are over; what it raises ends the training."""


def _forgotten(state: State, epoch: int) -> None:
    """Nothing is kept."""


@dataclass(frozen=True, slots=True)
class Course:
    """`held`: where an earlier training of the same rows, code and seed was cut off.

    `curves`, by trainer, JSON-ready: `training` and `validation`, the mean loss in nats of each epoch or round; `best`, the one
    that was kept, from 1; `ended`, why there were no more. The loss of training is taken while learning, with what is left out
    and smoothed there, so it lies above that of the same rows afterwards.
    """

    held: bytes | None = None
    keep: Keep = _forgotten
    curves: dict[str, Any] = field(default_factory=dict)
