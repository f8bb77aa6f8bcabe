"""How rows weigh in training, by name."""

from typing import Literal, get_args

Weighing = Literal["none", "full", "sqrt"]
WEIGHINGS: tuple[Weighing, ...] = get_args(Weighing)
