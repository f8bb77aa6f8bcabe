import numpy as np
import pytest

from explain.errors import UnknownLabel
from explain.finding import Finding, Heading, explained, steadied
from explain.target import named

HEADING = Heading("a.method", "tabular", "probability", "yes", 3, "hash", {"samples": 5})


def test_what_was_found_is_kept() -> None:
    found = explained(HEADING, lambda: Finding(0.5, [1.0], [{"contribution": 1.0}], {"local_r2": 0.9}, {"cut": "so"}))
    assert (found.base, found.contributions, found.problem) == (0.5, [{"contribution": 1.0}], None)
    assert found.params == {"samples": 5, "cut": "so"}


@pytest.mark.parametrize(
    "finding",
    [
        Finding(0.0, [float("nan")], ["kept"], {}),
        Finding(float("inf"), [1.0], ["kept"], {}),
        Finding(0.0, [1.0], ["kept"], {"local_r2": float("nan")}),
    ],
)
def test_values_that_are_not_numbers_are_a_problem(finding: Finding) -> None:
    found = explained(HEADING, lambda: finding)
    assert "not numbers" in str(found.problem)
    assert (found.base, found.contributions, found.quality) == (None, [], {})


def test_a_message_keeps_no_character_that_a_database_refuses() -> None:
    assert named(ValueError("a\0b")) == "ValueError: a\N{REPLACEMENT CHARACTER}b"


def test_any_error_is_a_problem_but_an_unknown_label() -> None:
    def broken() -> Finding:
        raise IndexError("seven")

    def unknown() -> Finding:
        raise UnknownLabel("maybe", ("no", "yes"))

    assert explained(HEADING, broken).problem == "a.method could not explain this item: IndexError: seven"
    with pytest.raises(UnknownLabel):
        explained(HEADING, unknown)


def test_answers_that_differ_by_rounding_alone_are_the_same() -> None:
    weights, note = steadied(np.array([1e-17, -2e-17]), np.array([0.3, 0.3 + 1e-16, 0.3]))
    assert not weights.any()
    assert "same answer" in note["note"]
    assert steadied(np.array([1e-3]), np.array([0.3, 0.301])) == (np.array([1e-3]), {})
