import numpy as np
import pytest
from explained_models import Picture, digits, in_log_odds, png, sigmoid
from lime.lime_image import LimeImageExplainer

from explain.lime_image import LimeImage
from explain.segments import blurred, squares


def test_the_numbers_are_the_librarys(capsys: pytest.CaptureFixture[str]) -> None:
    model, rows, labels = digits()
    image = model.decode(rows[0]["image"])
    found = LimeImage(model).explain(rows[0], label=labels[0], seed=3)
    assert capsys.readouterr().err == ""
    place = int(labels[0])
    alone = LimeImageExplainer(feature_selection="none", random_state=3).explain_instance(
        image,
        in_log_odds(model.image_probabilities),
        labels=(place,),
        top_labels=None,
        hide_color=blurred(image),
        num_samples=2000,
        segmentation_fn=lambda _: squares(8, 8).numbers,
    )
    due = dict(alone.local_exp[place])
    np.testing.assert_allclose(found.contributions["weights"], [due[piece] for piece in range(64)], atol=1e-6)
    assert found.quality["local_r2"] == pytest.approx(alone.score, abs=1e-6)


def test_colours_and_every_seed_are_the_librarys() -> None:
    rng = np.random.default_rng(1)
    model = Picture(lambda images: sigmoid(5 * images[:, 4:12, 4:12, 0].mean(axis=(1, 2)) * images[..., 1].std(axis=(1, 2))))
    for seed in range(3):
        data = png(rng.uniform(size=(20, 24, 3)))
        image = model.decode(data)
        found = LimeImage(model, samples=200).explain({"image": data}, label="yes", seed=seed)
        alone = LimeImageExplainer(feature_selection="none", random_state=seed).explain_instance(
            image,
            in_log_odds(model.image_probabilities),
            labels=(1,),
            top_labels=None,
            hide_color=blurred(image),
            num_samples=200,
            segmentation_fn=lambda _: squares(20, 24).numbers,
        )
        due = dict(alone.local_exp[1])
        got = found.contributions["weights"]
        np.testing.assert_allclose(got, [due[piece] for piece in range(len(got))], rtol=1e-6, atol=1e-12)
        assert found.base == pytest.approx(alone.intercept[1], rel=1e-6)


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3)])
def test_the_region_that_the_model_looks_at_stands_out(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).uniform(size=shape)
    image[:8, :8] = 1
    model = Picture(lambda images: sigmoid(20 * images[:, :8, :8].mean(axis=(1, 2, 3)) - 15))
    found = LimeImage(model).explain({"image": png(image)}, label="yes", seed=0)
    weights = np.array(found.contributions["weights"]).reshape(7, 7)
    assert set(np.argsort(-weights.ravel())[:4]) == {0, 1, 7, 8}
    assert np.abs(weights[2:, 2:]).max() < weights[:2, :2].min() / 4


def test_a_large_image() -> None:
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 0.2, size=(130, 130, 3))
    image[40:90, 40:90, 0] = 1
    model = Picture(lambda images: sigmoid(20 * images[:, 50:80, 50:80, 0].mean(axis=(1, 2)) - 15))
    found = LimeImage(model, samples=300).explain({"image": png(image)}, label="yes", seed=0)
    assert found.problem is None
    assert "slic" in found.params["cut"]
    assert max(found.contributions["weights"]) > 0.02


def test_a_blank_image_is_the_truth_of_zeros() -> None:
    model, _, _ = digits()
    found = LimeImage(model).explain({"image": png(np.zeros((8, 8)))}, label="0", seed=0)
    assert not any(found.contributions["weights"])
    assert (found.problem, found.quality) == (None, {"local_r2": 1.0, "prediction_gap": 0.0})
