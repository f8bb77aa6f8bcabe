"""What is printed while a file becomes a project."""

from pathlib import Path

import pytest

from app.starting import telling
from app.starting.rows import Sampled
from retrain.alone import Alone, alone


@pytest.fixture
def sure() -> Alone:
    """Of 2,000 answers those under 0.6 are wrong half of the time, all others right."""
    confidences = [0.5 + n / 4000 for n in range(2000)]
    return alone(confidences, [p < 0.6 and n % 2 == 0 for n, p in enumerate(confidences)])


def figures(**more: object) -> dict[str, object]:
    return {"trainer": "sklearn-hgb", "held_out": {"n": 2000, "answered": 2000, "accuracy": 0.9}, **more}


def test_a_trained_model_says_from_how_many_rows(sure: Alone, capsys: pytest.CaptureFixture[str]) -> None:
    telling.model(figures(rows={"base": 4000}), sure, 0.05)
    printed = capsys.readouterr().out
    assert printed.startswith("The model (sklearn-hgb) learned from 4,000 rows and is right in 90.0% of 2,000 held-out rows.")
    assert "That holds if" not in printed
    assert "error at most" in printed


def test_a_brought_model_says_what_it_must_not_have_learned_from(sure: Alone, capsys: pytest.CaptureFixture[str]) -> None:
    telling.model(figures(), sure, 0.05)
    assert "That holds if it has not learned from these rows" in capsys.readouterr().out


@pytest.mark.parametrize("known", [{}, {"held_out": {"n": 0, "answered": 0, "accuracy": None}}])
def test_without_labels_nothing_acts_alone(known: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    telling.model(known, None, 0.05)
    assert "people decide every case" in capsys.readouterr().out


def test_a_model_that_answers_no_labelled_row(capsys: pytest.CaptureFixture[str]) -> None:
    none = alone([0.0] * 20, [True] * 20)
    telling.model({"held_out": {"n": 20, "answered": 0, "accuracy": None}}, none, 0.05)
    assert "The model answers none of 20 labelled rows." in capsys.readouterr().out


def test_the_threshold_is_told_as_it_is_written(sure: Alone, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    telling.files(tmp_path, sure, 0.05)
    assert f"at_least: {sure.threshold(0.05)}" in " ".join(capsys.readouterr().out.split())
    telling.files(tmp_path, None, 0.05)
    assert "at_least: off" in " ".join(capsys.readouterr().out.split())


def test_rows_without_an_answer_name_the_first() -> None:
    assert telling.problems({}) == []
    assert telling.problems({7: "second", 4: "no number"}) == [
        "It gives no answer for 2 rows, which go to people; row 5, for one: no number"
    ]


def test_rows_that_cannot_be_taken(capsys: pytest.CaptureFixture[str]) -> None:
    telling.rejected(Sampled((), {}, ()))
    assert capsys.readouterr().out == ""
    telling.rejected(Sampled((), {}, ("row 2: too long", "row 9: too short")))
    assert capsys.readouterr().out == "2 rows cannot be taken; the first: row 2: too long\n\n"


def test_prose_is_folded(capsys: pytest.CaptureFixture[str]) -> None:
    telling.say("word " * 60)
    assert all(len(line) <= telling.WIDE for line in capsys.readouterr().out.splitlines())
