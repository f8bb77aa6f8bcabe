"""Many rows explained together: what each of them asks of the model goes into one forward.

A method is a generator for each row: it yields the inputs that it wants answered, receives the label's probabilities, and returns
what it found. Rows are taken up as long as fewer than ROWS inputs are outstanding, so memory does not grow with their number.
"""

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from contract.predictors import Floats
from contract.records import Explanation, Row
from explain.errors import ExplainError, ModelFailed, UnknownLabel
from explain.explainer import Ask
from explain.finding import Finding, Heading, recorded
from explain.sliced import Sliced
from explain.target import failed, probability

ROWS = 65_536
"""About so many inputs are outstanding at most."""

Question = TypeVar("Question", bound=Sliced)
Search = Generator[Question, Floats, Finding]
Answer = Callable[[Sequence[Any]], Floats]


class Pooled(ABC, Generic[Question]):
    """A method that asks the model about changed copies of a row."""

    method: ClassVar[str]

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels

    def explain(self, row: Row, *, label: str, seed: int) -> Explanation:
        """See Explainer."""
        if label not in self._labels:
            raise UnknownLabel(label, self._labels)
        return self.explain_all([Ask(row, label, seed)])[0]

    def explain_all(self, asks: Sequence[Ask]) -> list[Explanation]:
        """One for each, in order, as `explain` gives it; an unknown label is a problem of that one."""
        runs = [_Run(self._heading(ask), self._search(ask), self._labels) for ask in asks]
        _together(runs, self._answer)
        return [run.explanation() for run in runs]

    def _search(self, ask: Ask) -> Search[Question]:
        if ask.label not in self._labels:
            raise UnknownLabel(ask.label, self._labels)
        return (yield from self._find(ask))

    @abstractmethod
    def _heading(self, ask: Ask) -> Heading: ...

    @abstractmethod
    def _find(self, ask: Ask) -> Search[Question]: ...

    @abstractmethod
    def _answer(self, questions: Sequence[Question]) -> Floats:
        """(n, k) probabilities of all their inputs, one question after the other."""


class _Run(Generic[Question]):
    """One row's search underway: what it asks now, or how it ended."""

    def __init__(self, heading: Heading, search: Search[Question], labels: tuple[str, ...]) -> None:
        self._heading, self._search, self._labels = heading, search, labels
        self.question: Question | None = None
        self.size = 0
        self.outcome: Finding | Exception = ExplainError("It was never looked for.")
        self.seconds = 0.0

    def advance(self, answer: Floats | ExplainError | None) -> None:
        """Give it what it asked for (nothing at first), and let it go on."""
        begun = time.perf_counter()
        try:
            with np.errstate(all="ignore"):  # a division that fails shows as a value that is not finite, which is checked
                self.question = self._told(answer)
        except StopIteration as end:
            self.question, self.outcome = None, end.value
        except Exception as error:
            self.question, self.outcome = None, error
        self.size = 0 if self.question is None else len(self.question)
        self.seconds += time.perf_counter() - begun

    def _told(self, answer: Floats | ExplainError | None) -> Question:
        if answer is None:
            return next(self._search)
        return self._search.throw(answer) if isinstance(answer, Exception) else self._search.send(answer)

    def read(self, table: Floats) -> Floats | ExplainError:
        """The label's column of a checked (n, k) table."""
        try:
            return probability(table, self.size, self._labels, self._heading.label)
        except ExplainError as error:
            return error

    def explanation(self) -> Explanation:
        return recorded(self._heading, self.outcome, self.seconds)


def _together(runs: Iterable[_Run[Any]], answer: Answer) -> None:
    waiting, asking = deque(runs), list[_Run[Any]]()
    while waiting or asking:
        while waiting and sum(run.size for run in asking) < ROWS:
            run = waiting.popleft()
            run.advance(None)
            if run.question is not None:
                asking.append(run)
        for run, given in zip(asking, _answers(asking, answer) if asking else [], strict=True):
            run.advance(given)
        asking = [run for run in asking if run.question is not None]


def _answers(asking: Sequence[_Run[Any]], answer: Answer) -> list[Floats | ExplainError]:
    """Each one's own, from one forward; where that fails each is asked alone, so that only those fail that are at fault."""
    tables = _asked(asking, answer)
    if isinstance(tables, Exception) and len(asking) > 1:
        return [_answers([run], answer)[0] for run in asking]
    if isinstance(tables, Exception):
        return [tables if isinstance(tables, ExplainError) else failed(tables)]
    return [run.read(table) for run, table in zip(asking, tables, strict=True)]


def _asked(asking: Sequence[_Run[Any]], answer: Answer) -> list[Floats] | Exception:
    """The model's answer, cut into each one's part; the time is shared by the number of inputs."""
    begun = time.perf_counter()
    sizes = [run.size for run in asking]
    try:
        return _cut(np.asarray(answer([run.question for run in asking]), dtype=np.float64), sizes)
    except Exception as error:
        return error
    finally:
        for run, size in zip(asking, sizes, strict=True):
            run.seconds += (time.perf_counter() - begun) * size / max(sum(sizes), 1)


def _cut(table: Floats, sizes: Sequence[int]) -> list[Floats]:
    if len(sizes) > 1 and len(table) != sum(sizes):
        raise ModelFailed(f"The model gave {len(table)} answers to {sum(sizes)} inputs.")
    return np.split(table, np.cumsum(sizes)[:-1])
