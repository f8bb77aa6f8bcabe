"""The driver alone, with searches that only count."""

import time
from collections.abc import Sequence

import numpy as np
import pytest

from explain import pooling
from explain.errors import ItemUnreadable, UnknownLabel
from explain.explainer import Ask
from explain.finding import Finding, Heading
from explain.pooling import Pooled

LABELS = ("no", "yes")


class Counting(Pooled[list]):
    """Asks for `row["sizes"]` inputs of value `row["p"]`, one after the other, and adds up what it is told."""

    method = "counting"

    def __init__(self, answer=None) -> None:
        super().__init__(LABELS)
        self.forwards: list[int] = []
        self.open = self.most_open = 0
        self.answer = answer or (lambda inputs: np.column_stack([1 - inputs, inputs]))

    def _heading(self, ask: Ask) -> Heading:
        return Heading(self.method, "tabular", "probability", ask.label, ask.seed, "none", {})

    def _find(self, ask: Ask):
        if "sizes" not in ask.row:
            raise ItemUnreadable("This item has no sizes.")
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        total = 0.0
        for size in ask.row["sizes"]:
            total += float((yield [ask.row["p"]] * size).sum())
        self.open -= 1
        return Finding(total, [total], [total], {})

    def _answer(self, questions: Sequence[list]) -> np.ndarray:
        inputs = np.concatenate(questions)
        self.forwards.append(len(inputs))
        return self.answer(inputs)


def ask(*sizes: int, p: float = 0.5, label: str = "yes") -> Ask:
    return Ask({"sizes": sizes, "p": p}, label, 0)


def test_what_is_outstanding_goes_into_one_forward() -> None:
    explainer = Counting()
    found = explainer.explain_all([ask(3, 4, p=0.25), ask(5), ask(1, 1, 2, label="no", p=0.25)])
    assert [each.base for each in found] == [1.75, 2.5, 3.0]
    assert explainer.forwards == [9, 5, 2]


def test_rows_are_taken_up_as_others_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooling, "ROWS", 100)
    explainer = Counting()
    found = explainer.explain_all([ask(40, 40) for _ in range(20)])
    assert len(found) == 20
    assert max(explainer.forwards) == 120
    assert explainer.most_open <= 3


def test_one_that_cannot_be_read_and_an_unknown_label_are_problems_of_their_own() -> None:
    explainer = Counting()
    found = explainer.explain_all([Ask({}, "yes", 0), ask(2), ask(2, label="maybe")])
    assert "no sizes" in str(found[0].problem)
    assert (found[1].problem, found[1].base) == (None, 1.0)
    assert "maybe" in str(found[2].problem)
    with pytest.raises(UnknownLabel):
        explainer.explain({"sizes": (1,), "p": 0.5}, label="maybe", seed=0)


def raising(inputs: np.ndarray) -> np.ndarray:
    if (inputs == 0.3).any():
        raise RuntimeError("no memory left")
    return np.column_stack([1 - inputs, inputs])


def not_numbers(inputs: np.ndarray) -> np.ndarray:
    p = np.where(inputs == 0.3, np.nan, inputs)
    return np.column_stack([1 - p, p])


def one_short(inputs: np.ndarray) -> np.ndarray:
    kept = inputs[1:] if (inputs == 0.3).any() else inputs
    return np.column_stack([1 - kept, kept])


@pytest.mark.parametrize(
    ("answer", "sentence"), [(raising, "no memory left"), (not_numbers, "not numbers"), (one_short, "shape")]
)
def test_only_those_fail_whose_own_inputs_make_the_model_fail(answer, sentence: str) -> None:
    found = Counting(answer).explain_all([ask(2, 2), ask(3, p=0.3), ask(2)])
    assert [each.base for each in found] == [2.0, None, 1.0]
    assert sentence in str(found[1].problem)


def test_none_is_none_and_a_search_that_asks_nothing_ends() -> None:
    explainer = Counting()
    assert explainer.explain_all([]) == []
    assert explainer.explain_all([ask()])[0].base == 0.0
    assert explainer.forwards == []


def test_the_time_of_a_forward_is_shared_by_its_inputs() -> None:
    def slow(inputs: np.ndarray) -> np.ndarray:
        time.sleep(0.1)
        return np.column_stack([1 - inputs, inputs])

    small, large = Counting(slow).explain_all([ask(10), ask(90)])
    assert 0.01 <= small.seconds < 0.05
    assert 0.09 <= large.seconds < 0.2
