from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from explained_models import cancer, digits, png, reviews
from shown_models import Shown, fitted, straight, weights_of

from contract.inside import Last
from explain.errors import NotExplainable
from explain.explainer import Ask
from explain.representation import WIDEST, represented, space
from explain.tree_shap import TreeShap

WORDS = {
    ("torch-mlp", "mixed"): "the network's last hidden layer",
    ("torch-cnn", "digits"): "the network's last hidden layer",
    ("torch-text", "messages"): "the network's last hidden layer",
    ("sklearn-hgb", "mixed"): "what each feature contributes",
    ("sklearn-linear", "mixed"): "what each feature contributes",
}


@pytest.mark.parametrize(("kind", "name"), WORDS)
def test_vectors_of_length_one(kind: str, name: str) -> None:
    model, rows = fitted(kind, name, 100 if name != "messages" else 40)
    rows = rows[:20] or [{"text": "the transfer is missing"}, {"text": "order a card"}]
    assert space(model) == WORDS[kind, name]
    found = represented(model, model.background, rows)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    for place in (0, len(rows) - 1):
        np.testing.assert_allclose(represented(model, model.background, [rows[place]])[0], found[place], atol=1e-6)


@pytest.mark.parametrize(("kind", "name"), [("torch-mlp", "mixed"), ("torch-cnn", "digits"), ("sklearn-hgb", "mixed")])
def test_a_row_that_cannot_be_read_is_not_a_number_and_takes_no_other_down(kind: str, name: str) -> None:
    model, rows = fitted(kind, name, 100)
    bad: Any = {"radius": "wide"} if name == "mixed" else {"image": b"?"}
    found = represented(model, model.background, [rows[0], bad, rows[1], bad])
    assert np.isnan(found).all(axis=1).tolist() == [False, True, False, True]
    np.testing.assert_allclose(found[[0, 2]], represented(model, model.background, rows[:2]), atol=1e-6)
    assert np.isnan(represented(model, model.background, [bad])).all()
    assert represented(model, model.background, []).shape[0] == 0


def test_contributions_towards_the_second_of_two_labels_and_towards_each_of_more() -> None:
    model, rows = fitted("sklearn-hgb", "mixed")
    due = weights_of(TreeShap(model, model.background).explain(rows[0], label=model.labels[1], seed=0))
    np.testing.assert_allclose(represented(model, model.background, rows[:1])[0], due / np.linalg.norm(due))
    model, rows = fitted("sklearn-hgb", "wine", 120)
    made = TreeShap(model, model.background).explain_all([Ask(rows[0], label, 0) for label in model.labels])
    due = np.concatenate([weights_of(each) for each in made])
    np.testing.assert_allclose(represented(model, model.background, rows[:1])[0], due / np.linalg.norm(due))


def test_anything_else_by_the_logarithms_of_its_answers() -> None:
    table, rows = cancer()
    for model, some in (
        (table, rows[:5]),
        (reviews(), [{"text": "boring"}, {"text": "wonderful"}]),
        (digits()[0], digits()[1][:3]),
    ):
        assert space(model) == "the model's answers"
        found = represented(model, [], some)
        assert found.shape == (len(some), len(model.labels))
        assert (found <= 0).all()
    p = np.log(np.clip(table.table_probabilities(table.encode(rows[:5])), 1e-6, 1))
    np.testing.assert_allclose(represented(table, [], rows[:5]), p / np.linalg.norm(p, axis=1, keepdims=True))


def test_a_vector_of_zeros_stays_one() -> None:
    model = straight(np.array([[0, 1.0], [0, -1.0]]), ["a", "b"], Last(("no", "yes"), (0, 1)))
    rows = [{"a": 1.0, "b": 2.0}]
    assert represented(model, rows, [*rows, {"a": 2.0, "b": 2.0}]).tolist() == [[0, 0], [1, 0]]


def test_a_view_that_answers_otherwise_is_left_aside() -> None:
    model = straight(np.array([[0, 1.0], [0, -1.0]]), ["a", "b"], Last(("no", "yes"), (0, 1)))
    other = Shown(model.columns, lambda encoded: np.full((len(encoded.matrix), 2), 0.5), model.labels, model.inside)
    rows = [{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 0.0}]
    np.testing.assert_allclose(represented(other, rows, rows), -np.sqrt(0.5))


def test_more_contributions_than_can_be_kept_give_way_to_the_answers() -> None:
    for labels, words in ((WIDEST // 2, "what each feature contributes"), (WIDEST // 2 + 1, "the model's answers")):
        names = tuple(f"label {n}" for n in range(labels))
        model = straight(np.linspace(-1, 1, 2 * labels).reshape(2, labels), ["a", "b"], Last(names, tuple(range(labels))))
        rows = [{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 0.0}]
        assert space(model) == words
        width = 2 * labels if words == "what each feature contributes" else labels
        assert represented(model, rows, rows).shape == (2, width)
        assert width <= WIDEST


def test_a_model_that_cannot_be_looked_into_is_asked() -> None:
    class Closed(Shown):
        def __getattribute__(self, name: str) -> Any:
            if name == "inside":
                raise RuntimeError("closed")
            return super().__getattribute__(name)

    open_one = straight(np.array([[0, 1.0], [0, -1.0]]), ["a", "b"], Last(("no", "yes"), (0, 1)))
    model = Closed(open_one.columns, open_one.function, open_one.labels)
    assert space(model) == "the model's answers"
    assert np.isfinite(represented(model, [], [{"a": 1.0, "b": 2.0}])).all()


def test_others_get_their_turn_and_what_looks_inside_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = fitted("sklearn-hgb", "mixed")
    made, turns, opened = list[object](), list[int](), TreeShap._open

    def counted(look: TreeShap) -> None:
        made.append(look)
        opened(look)

    monkeypatch.setattr(TreeShap, "_open", counted)
    fresh = replace(model)
    found = [represented(fresh, fresh.background, rows[:20], lambda: turns.append(1)) for _ in range(3)]
    assert len(made) == 1
    assert len(turns) >= 6
    np.testing.assert_allclose(found[0], found[2], atol=1e-9)
    represented(fresh, fresh.background[:10], rows[:1])
    assert len(made) == 2


def test_pictures_of_any_size_and_models_that_raise() -> None:
    picture = digits()[0]

    def answer(images: np.ndarray) -> np.ndarray:
        if images.max() > 0.9:
            raise RuntimeError("too bright")
        return np.tile([0.5, 0.5], (len(images), 1))

    model = replace(picture, function=answer, labels=("a", "b"))
    rows = [{"image": png(np.full(shape, level))} for shape, level in (((4, 4), 0.2), ((6, 5), 0.3), ((4, 4), 1.0))]
    assert np.isnan(represented(model, [], rows)).all(axis=1).tolist() == [False, False, True]
    with pytest.raises(NotExplainable, match="offers no view"):
        represented(object(), [], rows)
