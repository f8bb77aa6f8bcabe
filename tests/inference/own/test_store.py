"""A brought model as a folder and as an archive."""

import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import sklearn
import skops.io

from inference import store
from inference.errors import ModelLoadError, UntrustedType
from inference.own import adding, formats
from inference.own.engine import Options
from tests.inference.own import fits


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    skops.io.dump(fits.boosted(), tmp_path / "m.skops")
    store.save(adding.add(str(tmp_path / "m.skops"), fits.sample(), Options()).predictor, tmp_path / "model")
    return tmp_path / "model"


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    held = json.loads((folder / "model.json").read_text())
    change(held)
    (folder / "model.json").write_text(json.dumps(held))


def test_folder_says_what_the_model_is(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"model.json", "model.skops", "background.jsonl", "ordinary.safetensors"}
    held = json.loads((folder / "model.json").read_text())
    assert held["kind"] == "own:sklearn"
    assert held["labels"] == ["benign", "malignant"]
    assert held["dtypes"]["radius"] == "float64"
    assert held["versions"]["sklearn"] == sklearn.__version__
    assert set(held["versions"]) == {"python", "signoff", "sklearn"}
    assert held["schema_hash"] == store.schema_hash(fits.project().input.features)
    assert len((folder / "background.jsonl").read_text().splitlines()) == 300


@pytest.mark.parametrize("theirs", ["1.4.2", "99.0.0", "unknown"])
def test_worker_of_another_scikit_learn(folder: Path, theirs: str) -> None:
    edit(folder, lambda held: held["versions"].update(sklearn=theirs))
    with pytest.raises(ModelLoadError, match=rf"saved with scikit-learn {theirs}, and .* pip install scikit-learn=={theirs}"):
        store.load(folder)


def test_worker_of_another_patch_loads_it(folder: Path) -> None:
    edit(folder, lambda held: held["versions"].update(sklearn=sklearn.__version__.rpartition(".")[0] + ".99"))
    assert store.load(folder).labels == ("benign", "malignant")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda held: held.update(kind="own:pickle"), "kind: Input should be 'own:sklearn'"),
        (lambda held: held.update(labels=["benign", "benign"]), "a label stands twice"),
        (lambda held: held["features"].pop("note"), "not the one that was hashed"),
        (lambda held: held.update(modality="sound"), "modality: Input should be"),
        (lambda held: held.update(files={}), r"names no model\.skops, which a own:sklearn model needs"),
        (lambda held: held["files"].update({"model.onnx": "0"}), r"names the file 'model\.onnx', which is no part"),
        (lambda held: held.update(settings={}), "do not say how rows are handed over"),
        (lambda held: held.update(extra=1), "extra"),
    ],
)
def test_description_that_lies(folder: Path, change: Callable[[dict[str, Any]], object], said: str) -> None:
    edit(folder, change)
    with pytest.raises(ModelLoadError, match=said):
        store.load(folder)


def test_file_that_asks_for_more_than_the_list(folder: Path) -> None:
    from contract.canonical import digest

    data = skops.io.dumps({"model": fits.sample})
    (folder / "model.skops").write_bytes(data)
    edit(folder, lambda held: held["files"].update({"model.skops": digest(data)}))
    with pytest.raises(
        UntrustedType, match=r"model\.skops asks for tests\.inference\.own\.fits\.sample.*python:FILE\.py:FUNCTION"
    ):
        store.load(folder)


def test_changed_file(folder: Path) -> None:
    (folder / "model.skops").write_bytes(b"other")
    with pytest.raises(ModelLoadError, match="its hash differs"):
        store.load(folder)


def test_large_files_are_packed_as_they_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LARGE", 10_000)
    with zipfile.ZipFile(BytesIO(store.pack(folder))) as archive:
        packed = {entry.filename: entry.compress_type for entry in archive.infolist()}
    assert packed["model.skops"] == zipfile.ZIP_STORED
    assert packed["model.json"] == zipfile.ZIP_DEFLATED


def test_archives_may_hold_the_names_of_every_format(tmp_path: Path) -> None:
    for kind, names in formats.FILES.items():
        target = BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            for name in ("model.json", *names):
                archive.writestr(name, b"{}")
        store.unpack(target.getvalue(), tmp_path / kind)
        assert {path.name for path in (tmp_path / kind).iterdir()} == {"model.json", *names}


def test_saving_over_a_model_of_another_format_leaves_nothing_of_it(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.onnx").write_bytes(b"x")
    store.save(store.load(folder), folder)
    assert {path.name for path in folder.iterdir()} == {"model.json", "model.skops", "background.jsonl", "ordinary.safetensors"}
