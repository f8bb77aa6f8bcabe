import numpy as np
import pytest
import shap
from explained_models import Picture, digits, png, sigmoid
from shap_reference import seeded

from explain.partition_image import PartitionImage
from explain.segments import blurred


def test_the_numbers_are_the_librarys() -> None:
    model, rows, labels = digits()
    image = model.decode(rows[0]["image"])
    place = int(labels[0])

    def log_odds(images: np.ndarray) -> np.ndarray:
        p = model.image_probabilities(images)[:, place].clip(1e-6, 1 - 1e-6)
        return np.log(p / (1 - p))

    np.random.seed(3)
    masker = shap.maskers.Image(blurred(image), image.shape)
    alone = shap.PartitionExplainer(log_odds, masker)(image[None], max_evals=1000, batch_size=32, silent=True)
    found = PartitionImage(model).explain(rows[0], label=labels[0], seed=3)
    np.testing.assert_allclose(found.contributions["weights"], alone.values[0].ravel(), atol=1e-6)


@pytest.mark.parametrize("evaluations", [20, 150, 1000])
def test_the_numbers_are_the_librarys_whatever_the_evaluations(evaluations: int) -> None:
    model, rows, labels = digits()
    for seed, (row, label) in enumerate(zip(rows[1:4], labels[1:4], strict=True)):
        image = model.decode(row["image"])

        def log_odds(images: np.ndarray, place: int = int(label)) -> np.ndarray:
            p = model.image_probabilities(images)[:, place].clip(1e-6, 1 - 1e-6)
            return np.log(p) - np.log1p(-p)

        with seeded(seed):
            alone = shap.PartitionExplainer(log_odds, shap.maskers.Image(blurred(image), image.shape))
            due = alone(image[None], max_evals=evaluations, batch_size=32, silent=True)
        found = PartitionImage(model, evaluations=evaluations).explain(row, label=label, seed=seed)
        np.testing.assert_allclose(found.contributions["weights"], due.values[0].ravel(), rtol=1e-6, atol=1e-9)


def test_contributions_add_up() -> None:
    model, rows, labels = digits()
    for row, label in list(zip(rows, labels, strict=True))[:3]:
        found = PartitionImage(model).explain(row, label=label, seed=0)
        p = model.image_probabilities(model.decode(row["image"])[None])[0, int(label)].clip(1e-6, 1 - 1e-6)
        assert found.base + sum(found.contributions["weights"]) == pytest.approx(np.log(p / (1 - p)), abs=1e-4)
        assert found.quality["additivity_gap"] < 1e-4


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3), (90, 70, 3)])
def test_the_region_that_the_model_looks_at_stands_out(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).uniform(size=shape)
    height, width = shape[:2]
    image[: height // 4, : width // 4] = 1
    model = Picture(lambda images: sigmoid(20 * images[:, : height // 4, : width // 4].mean(axis=(1, 2, 3)) - 15))
    found = PartitionImage(model).explain({"image": png(image)}, label="yes", seed=0)
    numbers, weights = drawn(found), np.array(found.contributions["weights"])
    field = weights[numbers]
    inside = field[: height // 4, : width // 4]
    assert inside.min() > 0
    assert np.abs(field[height // 2 :]).max() < 1e-9
    assert np.abs(field[:, width // 2 :]).max() < 1e-9


def test_a_blank_image_is_the_truth_of_zeros() -> None:
    model, _, _ = digits()
    found = PartitionImage(model).explain({"image": png(np.zeros((8, 8)))}, label="0", seed=0)
    assert not any(found.contributions["weights"])
    assert (found.problem, len(found.contributions["weights"])) == (None, 64)
    assert "same answer" in found.params["note"]


def drawn(found) -> np.ndarray:
    import base64
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found.contributions["segments"]))))
