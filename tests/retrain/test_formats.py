"""Every format: what is written is read again, cell by cell, and one changed byte is noticed."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.canonical import canonical, digest
from retrain import datasets, files, weights
from retrain.files import Written
from retrain.formats import hugging_face, image_folder, label_studio, layouts
from retrain.formats.layouts import FORMATS
from tests import factories

PROJECTS = {
    "tabular": factories.project(
        input={
            "type": "tabular",
            "features": {"amount": {"type": "number"}, "note": {"type": "text"}, "new": {"type": "boolean"}},
            "groups": ["sex"],
        }
    ),
    "text": factories.project(input={"type": "text"}),
    "image": factories.project(input={"type": "image"}, labels=["cat", "../dog", '<a & "b">', ".."]),
}
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
NUMBERS = st.floats(-(2.0**53), 2.0**53, allow_nan=False) | st.integers(-(2**53) + 1, 2**53 - 1)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
IMAGES = st.sampled_from([f"images/{digit * 64}.{ending}" for digit in "ab" for ending in ("png", "jpg")])
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "number": NUMBERS,
    "boolean": st.booleans(),
    "text": TEXT,
    "time": TIMES,
    "image": IMAGES,
}


def cells(kind: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    project = PROJECTS[kind]
    held = {name: st.none() | CELLS[each] for name, each in files.columns(project).items()}
    held |= {"external_id": TEXT.filter(bool), "split": st.sampled_from(["train", "test"])}
    held["label"] = st.none() | st.sampled_from(list(project.labels))
    held |= dict.fromkeys(("window", "model_version", "policy_version", "reviewers"), st.just("x"))
    return st.lists(st.fixed_dictionaries(held), min_size=1, max_size=4)


def written(kind: str, format: str, rows: list[dict[str, Any]], folder: Path) -> Written:
    return files.lay_out(Written(), rows, format, files.columns(PROJECTS[kind]), folder)


def read(kind: str, format: str, made: Written, folder: Path) -> list[dict[str, Any]]:
    found = layouts.read(format, made.names, files.columns(PROJECTS[kind]), lambda name: (folder / name).read_bytes())
    return list(found)


def sorted_rows(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(repr(sorted((name, plain(value)) for name, value in row.items())) for row in rows)


def plain(value: Any) -> Any:
    """A cell, so that what is equal looks alike."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return float(value) if type(value) is int else value


@pytest.mark.parametrize(("kind", "format"), [(k, f) for k in PROJECTS for f in FORMATS if k == "image" or f != "image-folder"])
def test_what_is_written_is_read_again(kind: str, format: str) -> None:
    @settings(max_examples=20, deadline=None)
    @given(cells(kind))
    def back(rows: list[dict[str, Any]]) -> None:
        with TemporaryDirectory() as place:
            made = written(kind, format, rows, Path(place))
            assert sorted_rows(read(kind, format, made, Path(place))) == sorted_rows(rows)
            assert {path for path in made.images.values()} == {row["image"] for row in rows if row.get("image")}
            assert made.count == len(rows)

    back()


def test_one_changed_byte_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    row = dict.fromkeys(files.columns(PROJECTS["text"])) | {"external_id": "a", "split": "train", "label": "pay", "text": "ü"}
    made = written("text", "huggingface", [row], tmp_path)
    (tmp_path / "README.md").write_text("about it")
    names = [*made.names, "README.md"]
    listed = {name: {"sha256": digest((tmp_path / name).read_bytes())} for name in names}
    (tmp_path / "dataset.json").write_text(canonical({"files": listed}))
    assert datasets.verify(tmp_path) == []
    chance = random.Random(7)
    for name in names * 20:
        sound = (tmp_path / name).read_bytes()
        at, flipped = chance.randrange(len(sound)), bytearray(sound)
        flipped[at] ^= 1 << chance.randrange(8)
        (tmp_path / name).write_bytes(flipped)
        assert datasets.verify(tmp_path) == [f"{name} was changed: its SHA-256 is not the one in dataset.json"]
        (tmp_path / name).write_bytes(sound)
    assert datasets.verify(tmp_path) == []


def test_images_lie_in_folders_by_split_and_label_and_rejected_ones_apart(tmp_path: Path) -> None:
    image, none = f"images/{'a' * 64}.png", dict.fromkeys(files.columns(PROJECTS["image"]))
    labels = ["cat", "../dog", "..", None, "cat"]
    rows = [none | {"external_id": f"{n}", "split": "train", "image": image, "label": label} for n, label in enumerate(labels)]
    made = written("image", "image-folder", rows, tmp_path)
    sha = "a" * 64
    assert sorted(made.images) == [
        f"rejected/train/{sha}-4.png", f"train/%2E%2E/{sha}-3.png", f"train/..%2Fdog/{sha}-2.png",
        f"train/cat/{sha}-5.png", f"train/cat/{sha}.png",
    ]  # fmt: skip
    assert made.names == ["rejected/metadata.csv", "train/metadata.csv"]
    assert image_folder.folder_of(". .") == "%2E%20%2E"


@pytest.mark.parametrize("kind", ["tabular", "image"])
def test_the_library_of_hugging_face_opens_the_folder(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    library = pytest.importorskip("datasets")
    from PIL import Image

    name = f"images/{'a' * 64}.png"
    none = dict.fromkeys(files.columns(PROJECTS[kind])) | {"confidence": 0.5, "label": "cat", "window": "open"}
    seen = {"image": name} if kind == "image" else {"amount": 3, "note": "ü\n", "new": True}
    rows = [none | seen | {"external_id": f"{n}", "split": split} for n, split in enumerate(("train", "test", "train"))]
    made, folder = written(kind, "huggingface", rows, tmp_path), tmp_path
    for path in made.images:
        Image.new("RGB", (4, 4)).save(folder / path)
    (folder / "README.md").write_text(hugging_face.head(made.names) + "# about\n")
    (folder / "dataset.json").write_text("{}")
    found = library.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {split: list(part["external_id"]) for split, part in found.items()} == {"train": ["0", "2"], "test": ["1"]}
    if kind == "image":
        assert found["test"][0]["image"].size == (4, 4)
    else:
        assert [found["test"][0][each] for each in seen] == list(seen.values())


def test_the_labelling_configuration_names_every_label() -> None:
    root = ElementTree.fromstring(label_studio.config(PROJECTS["image"]))
    assert [each.get("value") for each in root.iter("Choice")] == list(PROJECTS["image"].labels)
    assert [each.get("value") for each in root.iter("Image")] == ["$image"]


def test_a_task_has_the_case_what_was_predicted_and_what_was_answered(tmp_path: Path) -> None:
    said = {"external_id": "a", "split": "test", "text": "hello", "label": None, "predicted_label": "pay", "confidence": 0.75}
    rows = [dict.fromkeys(files.columns(PROJECTS["text"])) | said | {"model_version": "3"}]
    made = written("text", "label-studio", rows, tmp_path)
    (task,) = json.loads((tmp_path / made.names[0]).read_text())
    assert (task["data"]["text"], task["annotations"][0]["was_cancelled"], task["annotations"][0]["result"]) == (
        "hello",
        True,
        [],
    )
    assert (task["predictions"][0]["score"], task["predictions"][0]["model_version"]) == (0.75, "3")
    assert task["predictions"][0]["result"][0]["value"] == {"choices": ["pay"]}


def test_what_a_sample_is_worth() -> None:
    from collections import Counter

    assert weights.summary(Counter()) is None
    even = weights.summary(Counter({4.0: 50}))
    assert even == {
        "rows": 50, "effective": 50, "price": 1, "largest": 4.0, "cut": {"at": 4.0, "rows": 0, "effective": 50}
    }  # fmt: skip
    uneven = weights.summary(Counter({1.0: 990, 100.0: 10}))
    assert uneven is not None
    assert uneven["effective"] == pytest.approx(1990**2 / (990 + 10 * 100**2), abs=0.001)
    assert uneven["cut"] == {"at": 1.0, "rows": 10, "effective": 1000}
