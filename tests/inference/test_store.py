import io
import json
import shutil
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import SGDClassifier

from contract.canonical import digest
from inference import boosting, store, strange, training
from inference.errors import ModelLoadError, UntrustedType
from inference.training import Trained
from tests.inference.conftest import rows_of


@pytest.fixture
def folder(trained: Trained, tmp_path: Path) -> Path:
    store.save(trained, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def boosted(models: dict[str, Trained], tmp_path: Path) -> Path:
    store.save(models["sklearn-hgb"], tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def network(models: dict[str, Trained], tmp_path: Path) -> Path:
    store.save(models["torch-mlp"], tmp_path / "model")
    return tmp_path / "model"


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    held = json.loads((folder / "model.json").read_text())
    change(held)
    (folder / "model.json").write_text(json.dumps(held))


def put(folder: Path, name: str, data: bytes) -> None:
    """Replace a file and let model.json name its hash, as someone who means harm would."""
    (folder / name).write_bytes(data)
    edit(folder, lambda held: held["files"].update({name: digest(data)}))


def test_loaded_model_answers_the_same(trained: Trained, kind: str, folder: Path) -> None:
    _, (rows, _) = rows_of(kind)
    loaded = store.load(folder, device="cpu")
    assert loaded.predict(rows[:50]) == trained.predictor.predict(rows[:50])
    assert loaded.labels == trained.predictor.labels
    assert loaded.card == trained.predictor.card
    assert loaded.background == trained.predictor.background
    assert (loaded.ordinary is None) == (kind not in training.TRAINERS["tabular"])
    assert strange.told(loaded, loaded.ordinary, rows[:50]) == strange.told(
        trained.predictor, trained.predictor.ordinary, rows[:50]
    )


def test_folder_holds_no_pickle_and_says_what_it_is(folder: Path, kind: str) -> None:
    names = {path.name for path in folder.iterdir()}
    kept = {"model.json", store.WEIGHTS[kind]} | ({"background.jsonl"} if kind != "torch-cnn" else set())
    assert names == kept | (
        {strange.FILE} if kind in training.TRAINERS["tabular"] else set()
    )  # the others judged by too few rows
    held = json.loads((folder / "model.json").read_text())
    assert held["format"] == 1
    assert set(held["versions"]) == {"python", "torch", "sklearn", "signoff"}
    assert len(held["schema_hash"]) == len(held["data_hash"]) == 64
    assert held["figures"]["trainer"] == kind


def test_background_is_training_rows(trained: Trained, kind: str) -> None:
    _, (rows, _) = rows_of(kind)
    background = trained.predictor.background
    assert len(background) == (0 if kind == "torch-cnn" else min(500, trained.figures["n_train"]))
    assert all(row in rows[:150] for row in background)


def test_version_is_the_callers_or_the_hash_of_the_packed_content(folder: Path) -> None:
    assert store.load(folder, device="cpu").version == digest(store.pack(folder))
    assert store.load(folder, version="claims:7", device="cpu").version == "claims:7"


def test_archive_is_the_same_bytes_after_any_number_of_trips(folder: Path, tmp_path: Path) -> None:
    data = store.pack(folder)
    store.unpack(data, tmp_path / "b")
    store.save(store.load(tmp_path / "b", device="cpu"), tmp_path / "c")
    assert store.pack(tmp_path / "c") == data
    (folder / "notes.txt").write_text("not part of the model")
    (folder / "model.json").touch()
    assert store.pack(folder) == data


def test_saving_over_another_model_leaves_nothing_of_it(models: dict[str, Trained], tmp_path: Path) -> None:
    store.save(models["sklearn-hgb"], tmp_path)
    store.save(models["torch-cnn"].predictor, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model.json", "weights.safetensors"}


@pytest.mark.parametrize("name", ["model.json", "weights"])
def test_missing_file(folder: Path, kind: str, name: str) -> None:
    (folder / (store.WEIGHTS[kind] if name == "weights" else name)).unlink()
    with pytest.raises(ModelLoadError, match="cannot be read: No such file"):
        store.load(folder, device="cpu")


def test_file_with_another_hash(folder: Path, kind: str) -> None:
    path = folder / store.WEIGHTS[kind]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelLoadError, match="its hash differs"):
        store.load(folder, device="cpu")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda held: held.update(format=2), "has format 2; this version reads format 1"),
        (lambda held: held.update(kind="pickle"), "kind"),
        (lambda held: held.update(labels=["malignant"]), "labels"),
        (lambda held: held.update(labels=["a", "a"]), "labels or known do not fit"),
        (lambda held: held.update(known=[0, 5]), "labels or known do not fit"),
        (lambda held: held.update(labels=["a", "b", "c"], known=[0, 1, 2]), "settings and known do not fit"),
        (lambda held: held.update(temperature=0), "temperature"),
        (lambda held: held.update(extra=1), "extra"),
        (lambda held: held["features"].pop("size"), "the input schema is not the one"),
        (lambda held: held["columns"].pop(), "columns and features do not fit"),
        (lambda held: held["columns"][1]["categories"].append("giant"), "embedding.weight is float32"),
        (lambda held: held["files"].update({"../../evil": "00"}), "no part of a torch-mlp model"),
        (lambda held: held.update(files={}), "names no weights.safetensors"),
        (lambda held: held.update(settings={}), "settings and known"),
    ],
)
def test_description_that_lies(network: Path, change: Callable[[dict[str, Any]], object], says: str) -> None:
    edit(network, change)
    with pytest.raises(ModelLoadError, match=says):
        store.load(network, device="cpu")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "\udcff"])
def test_description_that_is_none(network: Path, text: str) -> None:
    (network / "model.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelLoadError):
        store.load(network, device="cpu")


@pytest.mark.parametrize("data", [b"", b"not tensors", b"\x80\x04K\x01."])
def test_weights_that_are_none(folder: Path, kind: str, data: bytes) -> None:
    put(folder, store.WEIGHTS[kind], data)
    with pytest.raises(ModelLoadError):
        store.load(folder, device="cpu")


def test_weights_of_other_shapes_and_names(network: Path) -> None:
    held = safetensors.numpy.load((network / "weights.safetensors").read_bytes())
    put(network, "weights.safetensors", safetensors.numpy.save({**held, "more": np.zeros(2)}))
    with pytest.raises(ModelLoadError, match="unknown tensor more"):
        store.load(network, device="cpu")
    put(network, "weights.safetensors", safetensors.numpy.save({**held, "low": np.zeros((1, 2), np.float32)}))
    with pytest.raises(ModelLoadError, match=r"low is float32\[1, 2\], where the model has float32"):
        store.load(network, device="cpu")


def test_offsets_that_leave_the_embedding(network: Path) -> None:
    held = safetensors.numpy.load((network / "weights.safetensors").read_bytes())
    put(network, "weights.safetensors", safetensors.numpy.save({**held, "offsets": np.array([10**6])}))
    with pytest.raises(ModelLoadError, match="unknown tensor offsets"):
        store.load(network, device="cpu")


def test_background_that_is_none(network: Path) -> None:
    put(network, "background.jsonl", b"[1]\n")
    with pytest.raises(ModelLoadError, match="not a row"):
        store.load(network, device="cpu")


def test_type_outside_the_reviewed_list_is_refused_and_named(boosted: Path) -> None:
    model = SGDClassifier()
    model.payload = Trained  # a type of ours stands for any type that nobody reviewed
    put(boosted, "model.skops", skops.io.dumps(model))
    with pytest.raises(UntrustedType, match=r"inference\.training\.Trained") as caught:
        store.load(boosted)
    assert caught.value.types == ("inference.training.Trained",)


def test_reviewed_list_is_what_a_model_needs(boosted: Path) -> None:
    data = (boosted / "model.skops").read_bytes()
    assert set(skops.io.get_untrusted_types(data=data)) == set(boosting.TRUSTED)


def test_another_estimator_is_refused_even_if_trusted(boosted: Path) -> None:
    put(boosted, "model.skops", skops.io.dumps(RandomForestClassifier(2).fit([[0], [1]], [0, 1]), compression=0))
    with pytest.raises(ModelLoadError):
        store.load(boosted)
    put(boosted, "model.skops", skops.io.dumps(HistGradientBoostingClassifier()))
    with pytest.raises(ModelLoadError, match="no whole model"):
        store.load(boosted)


@pytest.mark.parametrize(("part", "value"), [("left", 4_000_000_000), ("feature_idx", 10**9), ("feature_idx", -1), ("left", 0)])
def test_tree_that_points_outside_itself_is_refused(boosted: Path, part: str, value: int) -> None:
    model = skops.io.load(boosted / "model.skops", trusted=list(boosting.TRUSTED))
    model._predictors[0][0].nodes[part][0] = value
    put(boosted, "model.skops", skops.io.dumps(model))
    with pytest.raises(ModelLoadError, match="points outside itself"):
        store.load(boosted)


def test_trees_of_other_columns_are_refused(boosted: Path) -> None:
    matrix = np.random.default_rng(0).random((60, 3))
    model = HistGradientBoostingClassifier(max_iter=3).fit(matrix, (matrix[:, 0] > 0.5).astype(int))
    put(boosted, "model.skops", skops.io.dumps(model))
    with pytest.raises(ModelLoadError, match="sees 3 columns"):
        store.load(boosted)


def archive(**files: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as held:
        for name, data in files.items():
            held.writestr(name, data)
    return target.getvalue()


@pytest.mark.parametrize(
    "name", ["../model.json", "/nowhere-at-all/model.json", "a/model.json", "..\\model.json", "evil.pkl", "model.json/"]
)
def test_archive_with_another_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelLoadError, match="a model has only"):
        store.unpack(archive(**{"model.json": b"{}", name: b"x"}), tmp_path / "in")
    assert not (tmp_path / "in").exists()


def test_archive_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_BYTES", 1_000_000)
    data = archive(**{"model.json": b"{}", "model.skops": bytes(2_000_000)})
    with pytest.raises(ModelLoadError, match="unpacks to more"):
        store.unpack(data, tmp_path)
    assert not list(tmp_path.iterdir())


def test_archive_that_lies_about_its_size_is_not_inflated(tmp_path: Path) -> None:
    data = archive(**{"model.json": b"{}", "model.skops": bytes(300_000_000)})
    lied = data.replace((300_000_000).to_bytes(4, "little"), (9).to_bytes(4, "little"))
    tracemalloc.start()
    with pytest.raises(ModelLoadError):
        store.unpack(lied, tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert not list(tmp_path.iterdir())


def test_archive_of_another_method_is_refused(tmp_path: Path) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_LZMA) as held:
        held.writestr("model.json", "{}")
    with pytest.raises(ModelLoadError, match="other than deflate"):
        store.unpack(target.getvalue(), tmp_path)


def test_skops_that_unpacks_to_too_much(boosted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boosting, "MAX_BYTES", 1_000)
    with pytest.raises(ModelLoadError, match="unpacks to more"):
        store.load(boosted)


@pytest.mark.parametrize("data", [b"", b"zip", b"PK\x03\x04" + bytes(40)])
def test_archive_that_is_none(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ModelLoadError):
        store.unpack(data, tmp_path)


def test_archive_without_description(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"holds no model\.json"):
        store.unpack(archive(**{"model.skops": b"x"}), tmp_path)


def test_linked_folder_is_read_like_any_other(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert store.load(tmp_path / "link", device="cpu").version == store.load(folder, device="cpu").version
    shutil.rmtree(folder)
    with pytest.raises(ModelLoadError):
        store.load(tmp_path / "link", device="cpu")
