"""What every explainer promises, whatever its method."""

import io
import json
import math
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from explained_models import cancer, digits, reviews

from contract.canonical import canonical
from contract.records import Row
from explain.catalog import explainers_for
from explain.errors import NotExplainable, UnknownLabel
from explain.explainer import Ask, Explainer

CASES = ["tabular", "text", "image"]


def case(modality: str) -> tuple[Any, list[Row], str]:
    """A model, a few rows and one of its labels."""
    if modality == "tabular":
        model, rows = cancer()
        return model, rows, "benign"
    if modality == "text":
        return reviews(), [{"text": "a boring film"}, {"text": "brilliant cast, slow story"}, {"text": "we loved it"}], "good"
    picture, rows, _ = digits()
    return picture, rows, "3"


def all_of(modality: str) -> list[tuple[Explainer, list[Row], str]]:
    model, rows, label = case(modality)
    return [(explainer, rows[:3], label) for explainer in explainers_for(model, rows[3:200])]


def numbers(explanation: Any) -> list[float]:
    """All that was computed, in one list; chunks of other sizes round the last digits of a model's answers differently."""
    assert explanation.problem is None
    parts = explanation.contributions
    weights = parts["weights"] if explanation.modality == "image" else [part["contribution"] for part in parts]
    return [explanation.base, *weights, *explanation.quality.values()]


def same(one: Any, other: Any) -> bool:
    return np.allclose(numbers(one), numbers(other), rtol=1e-9, atol=1e-9)


def with_answers(modality: str, answer: Callable[[int, int], Any]) -> tuple[list[Explainer], Row, str]:
    """The case's model with other answers to n inputs with k labels; a table's background is encoded by the real one."""
    model, rows, label = case(modality)
    name = "function"

    def function(inputs: Any) -> Any:
        n = len(inputs.matrix) if modality == "tabular" else len(inputs)
        return answer(n, len(model.labels))

    return explainers_for(replace(model, **{name: function}), rows[:50]), rows[0], label


@pytest.mark.parametrize("modality", CASES)
def test_the_catalog_gives_shap_and_lime(modality: str) -> None:
    methods = [explainer.method for explainer, _, _ in all_of(modality)]
    assert (
        methods
        == {
            "tabular": ["shap.permutation", "lime.tabular"],
            "text": ["shap.partition", "lime.text"],
            "image": ["shap.partition", "lime.image"],
        }[modality]
    )


def test_a_model_without_a_view_is_refused() -> None:
    with pytest.raises(NotExplainable, match="object"):
        explainers_for(object(), [])


@pytest.mark.parametrize("modality", CASES)
def test_records_are_json_and_complete(modality: str) -> None:
    for explainer, rows, label in all_of(modality):
        found = explainer.explain(rows[0], label=label, seed=1)
        assert found.problem is None
        assert (found.method, found.modality, found.label, found.seed) == (explainer.method, modality, label, 1)
        assert json.loads(canonical(found.as_dict()))["contributions"] == json.loads(json.dumps(found.contributions))
        assert len(found.background_hash) == 64
        assert 0 < found.seconds < 60
        assert found.quality
        assert all(math.isfinite(figure) for figure in found.quality.values())


@pytest.mark.parametrize("modality", CASES)
def test_a_seed_decides_all_and_order_nothing(modality: str) -> None:
    for (explainer, rows, label), (again, _, _) in zip(all_of(modality), all_of(modality), strict=True):
        first = [explainer.explain(row, label=label, seed=7) for row in rows]
        np.random.rand(5)
        for row, due in reversed(list(zip(rows, first, strict=True))):
            assert same(again.explain(row, label=label, seed=7), due)
        assert not same(explainer.explain(rows[0], label=label, seed=2**32 - 1), first[0]) or modality != "tabular"


@pytest.mark.parametrize("modality", CASES)
def test_many_together_are_each_as_alone_and_a_bad_one_is_alone_in_that(modality: str) -> None:
    for explainer, rows, label in all_of(modality):
        other = "malignant" if modality == "tabular" else label
        asks = [Ask(rows[0], label, 3), Ask({}, label, 3), Ask(rows[1], "unheard", 3), Ask(rows[2], other, 4)]
        if modality == "tabular":
            asks[1] = Ask({"mean radius": "wide"}, label, 3)
        found = explainer.explain_all(asks)
        assert [each.problem is None for each in found] == [True, False, False, True]
        assert "unheard" in str(found[2].problem)
        for place in (0, 3):
            assert same(found[place], explainer.explain(asks[place].row, label=asks[place].label, seed=asks[place].seed))
        assert explainer.explain_all([]) == []


@pytest.mark.parametrize("modality", CASES)
def test_nothing_leaks(modality: str) -> None:
    np.random.seed(11)
    due = np.random.rand()
    np.random.seed(11)
    errors = io.StringIO()
    with redirect_stderr(errors):
        for explainer, rows, label in all_of(modality):
            explainer.explain(rows[0], label=label, seed=1)
    assert np.random.rand() == due
    assert errors.getvalue() == ""


def test_threads_do_not_disturb_each_other() -> None:
    jobs = [(explainer, row, label) for modality in CASES for explainer, rows, label in all_of(modality) for row in rows[:2]]
    due = [explainer.explain(row, label=label, seed=5) for explainer, row, label in jobs]
    found: dict[int, Any] = {}

    def work(places: range) -> None:
        for place in places:
            explainer, row, label = jobs[place]
            found[place] = explainer.explain(row, label=label, seed=5)

    threads = [threading.Thread(target=work, args=(range(start, len(jobs), 2),)) for start in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(found[place], due[place]) for place in range(len(jobs)))


def _raising(n: int, k: int) -> Any:
    raise RuntimeError("no memory left")


@pytest.mark.parametrize("modality", CASES)
@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (_raising, "RuntimeError: no memory left"),
        (lambda n, k: np.full((n, k), np.nan), "not numbers"),
        (lambda n, k: np.full((n, k), np.inf), "not numbers"),
        (lambda n, k: np.full((n, k), 3.0), "not probabilities"),
        (lambda n, k: np.full((max(n - 1, 0), k), 0.5), "shape"),
        (lambda n, k: np.full((n, k + 1), 0.1), "shape"),
        (lambda n, k: np.full(n, 0.1), "shape"),
        (lambda n, k: [["a"] * k] * n, "ValueError"),
    ],
)
def test_what_the_model_does_wrong_is_told(modality: str, answer: Callable[[int, int], Any], sentence: str) -> None:
    explainers, row, label = with_answers(modality, answer)
    for explainer in explainers:
        found = explainer.explain(row, label=label, seed=0)
        assert sentence in found.problem
        assert not found.contributions
        assert found.base is None
        canonical(found.as_dict())


@pytest.mark.parametrize("modality", CASES)
@pytest.mark.parametrize("p", [0.3, 0.0, 1.0])
def test_a_constant_model_has_zeros(modality: str, p: float) -> None:
    """Also one that is wholly sure of one label."""

    def answer(n: int, k: int) -> Any:
        return np.tile([p, 1 - p] + [0.0] * (k - 2), (n, 1))

    explainers, row, _ = with_answers(modality, answer)
    for explainer in explainers:
        label = case(modality)[0].labels[0]
        found = explainer.explain(row, label=label, seed=0)
        assert found.problem is None
        assert "same answer" in found.params["note"]
        weights = (
            found.contributions["weights"] if modality == "image" else [part["contribution"] for part in found.contributions]
        )
        assert weights
        assert not any(weights)
        due = p if found.unit == "probability" else math.log(max(p, 1e-6) / max(1 - p, 1e-6))
        assert found.base == pytest.approx(due, abs=1e-5)
        assert max(found.quality.get("additivity_gap", 0), found.quality.get("prediction_gap", 0)) < 1e-9


@pytest.mark.parametrize("modality", CASES)
def test_an_unknown_label_is_refused(modality: str) -> None:
    for explainer, rows, _ in all_of(modality):
        with pytest.raises(UnknownLabel, match="unheard"):
            explainer.explain(rows[0], label="unheard", seed=0)


def test_an_item_that_cannot_be_read_is_told() -> None:
    table, *_ = all_of("tabular")
    assert "cannot read" in table[0].explain({"mean radius": "wide"}, label="benign", seed=0).problem
    picture, *_ = all_of("image")
    assert "image" in picture[0].explain({"image": b"?"}, label="3", seed=0).problem


def test_importing_is_light() -> None:
    heavy = "{'shap', 'lime', 'sklearn', 'skimage', 'torch'}"
    code = f"import sys, explain, explain.catalog, explain.explainer; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_explaining_by_asking_compiles_nothing_and_needs_no_library() -> None:
    """A fresh worker's first explanation waits for no compiler."""
    code = (
        "import sys; sys.path.insert(0, 'tests/explain')\n"
        "from explained_models import linear, reviews, rows_of\n"
        "from explain.exact_shap import ExactShap; from explain.lime_text import LimeText\n"
        "from explain.lime_tabular import LimeTabular; from explain.partition_image import PartitionImage\n"
        "from explain.partition_text import PartitionText; from explain.permutation_shap import PermutationShap\n"
        "rows = [{'x0': float(n % 5), 'x1': float(n % 3)} for n in range(30)]\n"
        "for kind in (PermutationShap, ExactShap, LimeTabular):\n"
        "    assert kind(linear([1.0, 2.0]), rows).explain(rows[1], label='yes', seed=0).problem is None\n"
        "for kind in (PartitionText, LimeText):\n"
        "    assert kind(reviews()).explain({'text': 'a boring film'}, label='good', seed=0).problem is None\n"
        "print(sorted({'shap', 'lime', 'numba', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
