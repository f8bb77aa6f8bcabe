import io
import json
import logging
import pickle
import re
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torch import nn

from contract.predictors import TableModel
from inference.errors import DeviceError, ModelAddError, ModelLoadError
from inference.own import exported, inputs, reading, screen
from inference.own.engine import Sample, Sees
from tests.inference import data
from tests.inference.own import kit

LABELS = ("malignant", "benign")
CLASS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.BatchNorm1d(6)
        self.first = nn.Linear(6, 16)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(16, 2)

    def forward(self, rows):
        return self.last(self.drop(torch.relu(self.first(self.scale(rows)))))

class Needs(Net):
    def __init__(self, width):
        super().__init__()

class Branches(Net):
    def forward(self, rows):
        return super().forward(rows) if rows.sum().item() > 0 else super().forward(-rows)

class One(Net):
    def forward(self, rows):
        return super().forward(rows)[:, 1] - super().forward(rows)[:, 0]

def small():
    return Net()

def none():
    return 3
"""


@pytest.fixture
def code(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "nets.py").write_text(CLASS)
    yield tmp_path
    sys.modules.pop("nets", None)


@pytest.fixture(scope="module")
def fitted() -> Any:
    """A network that learned breast cancer from its raw numbers, with the sample and its truth."""
    torch.manual_seed(0)
    held: dict[str, Any] = {}
    exec(CLASS, held)
    net = held["Net"]()
    sample, matrix, truth = kit.breast_cancer()
    rows, target = torch.from_numpy(matrix), torch.from_numpy(truth)
    steps = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(80):
        steps.zero_grad()
        nn.functional.cross_entropy(net(rows), target).backward()
        steps.step()
    net.eval()
    assert (net(rows).argmax(1) == target).float().mean() > 0.9
    return net, sample, rows[: len(sample.rows)]


def archive(module: nn.Module, example: torch.Tensor, **dynamic: Any) -> bytes:
    shapes = dynamic.get("shapes", ({0: torch.export.Dim("n")},))
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(module, (example,), dynamic_shapes=shapes), target)
    return target.getvalue()


def written(folder: Path, content: bytes, name: str = "model.pt2") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


class Answering(nn.Module):
    """A module that answers a table in some other way than log-odds of two labels."""

    def __init__(self, net: nn.Module, how: Any) -> None:
        super().__init__()
        self.net, self.how = net, how

    def forward(self, rows: torch.Tensor) -> Any:
        return self.how(self.net(rows))


def own(net: Any, rows: torch.Tensor) -> Any:
    with torch.no_grad():
        return kit.softmax(net(rows).numpy())


WAYS = {
    "log-odds": (lambda out: out, "log-odds"),
    "log-softmax": (lambda out: out.log_softmax(1), "log-odds"),
    "probabilities": (lambda out: out.softmax(1), "probabilities"),
    "a dict": (lambda out: {"loss": out.sum(), "logits": out}, "log-odds"),
    "a tuple": (lambda out: (out, out.sum()), "log-odds"),
    "one probability": (lambda out: out.softmax(1)[:, 1:], "second probability"),
    "one flat": (lambda out: out.softmax(1)[:, 1], "second probability"),
    "one log-odds": (lambda out: out[:, 1] - out[:, 0], "second log-odds"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_program_answers_as_its_module_whatever_its_answers_are(fitted: Any, tmp_path: Path, way: str) -> None:
    net, sample, rows = fitted
    how, meaning = WAYS[way]
    path = written(tmp_path, archive(Answering(net, how).eval(), rows[:3]))
    engine = exported.add(path, sample, kit.options(*LABELS))
    assert (engine.settings()["meaning"], engine.labels) == (meaning, LABELS)
    assert not isinstance(engine, Sees)
    again = kit.reloaded(exported, engine)
    for one in (engine, again):
        assert np.abs(one.probabilities(kit.cells(sample)) - own(net, rows)).max() < 1e-6
        assert np.abs(one.probabilities(kit.cells(sample, sample.rows[:1])) - own(net, rows[:1])).max() < 1e-6
    assert "6 numbers a row" in engine.said()[0]
    assert engine.said()[1] == "Its answers are, in order, malignant, benign, as --labels says."
    assert len(engine.said()) == 3


def test_labels_are_those_of_the_owner_in_the_order_of_the_answers(fitted: Any, tmp_path: Path) -> None:
    net, sample, rows = fitted
    path = written(tmp_path, archive(Answering(net, lambda out: out.flip(1)).eval(), rows[:3]))
    engine = exported.add(str(path), sample, kit.options("benign", "malignant"))
    assert engine.labels == ("benign", "malignant")
    assert np.abs(engine.probabilities(kit.cells(sample)) - own(net, rows)[:, ::-1]).max() < 1e-6


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ((), "gives 2 answers and names no labels; .*--labels"),
        (("malignant",), "gives 2 answers, and the labels are malignant"),
        (("malignant", "malignant"), "gives 2 answers"),
        (("malignant", "fine"), "fine is no label of the project.*malignant, benign"),
    ],
)
def test_labels_that_do_not_fit_are_refused(fitted: Any, tmp_path: Path, labels: tuple[str, ...], said: str) -> None:
    net, sample, rows = fitted
    with pytest.raises(ModelAddError, match=said):
        exported.add(written(tmp_path, archive(net, rows[:3])), sample, kit.options(*labels))


@pytest.mark.parametrize("size", [1, 3, 25])
def test_a_program_of_a_fixed_number_of_rows_gets_that_many(fitted: Any, tmp_path: Path, size: int) -> None:
    net, sample, rows = fitted
    engine = exported.add(written(tmp_path, archive(net, rows[:size], shapes=None)), sample, kit.options(*LABELS))
    assert np.abs(kit.reloaded(exported, engine).probabilities(kit.cells(sample)) - own(net, rows)).max() < 1e-6


def test_weights_and_a_class_become_a_program_that_needs_no_class(fitted: Any, code: Path) -> None:
    net, sample, rows = fitted
    torch.save(net.state_dict(), code / "weights.pt")
    torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in net.state_dict().items()}}, code / "w.pth")
    safetensors.torch.save_file(net.state_dict(), code / "w.safetensors")
    for name, of in [("weights.pt", "nets:Net"), ("w.pth", "nets:small"), ("w.safetensors", str(code / "nets.py") + ":Net")]:
        engine = exported.add(code / name, sample, kit.options(*LABELS, class_name=of))
        sys.modules.pop("nets", None)
        assert np.abs(kit.reloaded(exported, engine).probabilities(kit.cells(sample)) - own(net, rows)).max() < 1e-6
        assert str(code) not in sys.path
        assert any(of in line for line in engine.said())


def test_a_class_of_one_answer(fitted: Any, code: Path) -> None:
    net, sample, rows = fitted
    torch.save(net.state_dict(), code / "weights.pt")
    engine = exported.add(code / "weights.pt", sample, kit.options(*LABELS, class_name="nets:One"))
    assert np.abs(engine.probabilities(kit.cells(sample)) - own(net, rows)).max() < 1e-6
    assert any("benign, the second label" in line for line in engine.said())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (None, "holds weights alone; .*--class"),
        ("nets", "names nothing; write"),
        ("nothing_here:Net", "nothing_here cannot be imported"),
        ("nets:Nett", "nets has no Nett; nearest is Net"),
        ("nets:Needs", r"without arguments \(it takes \(width\)\)"),
        ("nets:none", "makes a int, not a torch.nn.Module"),
        ("nets:Branches", r"cannot be exported by torch.export: .*python:FILE.py:FUNCTION"),
        ("gone.py:Net", "gone.py is not there"),
    ],
)
def test_classes_that_do_not_do(fitted: Any, code: Path, name: str | None, said: str) -> None:
    net, sample, _ = fitted
    torch.save(net.state_dict(), code / "weights.pt")
    with pytest.raises(ModelAddError, match=said):
        exported.add(code / "weights.pt", sample, kit.options(*LABELS, class_name=name))


def test_weights_that_do_not_fit_are_named(fitted: Any, code: Path) -> None:
    net, sample, _ = fitted
    weights = net.state_dict()
    torch.save({("final" + key[4:] if key.startswith("last") else key): value for key, value in weights.items()}, code / "a.pt")
    torch.save({**weights, "last.bias": torch.zeros(3)}, code / "b.pt")
    torch.save([1, 2], code / "c.pt")
    torch.save({"w": Harmless(code / "ran")}, code / "h.pt")
    torch.save(nn.Linear(6, 2), code / "d.pt")
    (code / "e.pt").write_bytes(b"no")
    (code / "f.safetensors").write_bytes(b"no")
    script = torch.jit.script(nn.Linear(2, 2))
    torch.jit.save(script, str(code / "g.pt"))
    for name, said in {
        "a.pt": "has no last.bias, last.weight, and the class knows no final.bias, final.weight",
        "b.pt": r"last.bias is \[3\], where nets:Net has \[2\]",
        "c.pt": "holds no state_dict",
        "d.pt": "holds more than weights .*state_dict",
        "h.pt": "holds more than weights .*state_dict",
        "e.pt": "no file that torch.save wrote|holds more than weights",
        "f.safetensors": "not a safetensors file",
        "g.pt": "is TorchScript",
        "gone.pt": "cannot be read: No such file",
    }.items():
        with pytest.raises(ModelAddError, match=said):
            exported.add(code / name, sample, kit.options(*LABELS, class_name="nets:Net"))
    assert not (code / "ran").exists()


def test_inputs_that_a_program_cannot_take_are_named(fitted: Any, tmp_path: Path) -> None:
    net, sample, rows = fitted
    path = written(tmp_path, archive(net, rows[:3]))
    features: dict[str, Any] = {name: {"type": "number"} for name in sample.project.input.features}
    other = kit.with_features(sample, {**features, "colour": {"type": "category"}}, [{**sample.rows[0], "colour": "red"}])
    with pytest.raises(ModelAddError, match=r"colour is a category; .*python:FILE.py:FUNCTION"):
        exported.add(path, other, kit.options(*LABELS))
    wider = kit.with_features(sample, {**features, "more": {"type": "number"}}, [{**sample.rows[0], "more": 1.0}])
    with pytest.raises(ModelAddError, match=r"shape \(any, 6\), and the project has 7 features"):
        exported.add(path, wider, kit.options(*LABELS))
    with pytest.raises(ModelAddError, match="input is a text; bring a Hugging Face folder"):
        exported.add(path, Sample(kit.text_project("a", "b"), ({"text": "hello"},)), kit.options("a", "b"))
    with pytest.raises(ModelAddError, match="needs no class"):
        exported.add(path, sample, kit.options(*LABELS, class_name="nets:Net"))


def test_booleans_are_numbers_and_a_missing_value_takes_no_other_row_down(fitted: Any, tmp_path: Path) -> None:
    net, sample, rows = fitted
    names = list(sample.project.input.features)
    features = {name: {"type": "boolean" if name == names[0] else "number"} for name in names}
    held = [{**row, names[0]: row[names[0]] > 14} for row in sample.rows]
    held[2] = {**held[2], names[3]: None}
    engine = exported.add(
        written(tmp_path, archive(net, rows[:3])), kit.with_features(sample, features, held), kit.options(*LABELS)
    )
    found = engine.probabilities(kit.cells(sample, held))
    plain = rows.clone()
    plain[:, 0] = (plain[:, 0] > 14).float()
    expected = own(net, plain)
    assert np.isnan(found[2]).all()
    assert np.abs(np.delete(found, 2, 0) - np.delete(expected, 2, 0)).max() < 1e-6
    with pytest.raises(ValueError, match=f"{names[1]} holds a value that is no number"):
        engine.probabilities(kit.cells(sample, [{**sample.rows[0], names[1]: "much"}]))
    with pytest.raises(ValueError, match=f"{names[1]} is not in the rows"):
        engine.probabilities({names[0]: [1.0]})


WRONG = {
    "NaN": (lambda out: out * float("nan"), "answers no row of the sample with numbers"),
    "labels": (lambda out: out.argmax(1), "of type int64; give probabilities"),
    "a sum": (lambda out: out.sum(), r"shape \(\) for 60 rows"),
    "three axes": (lambda out: out[:, None], r"shape \(60, 1, 2\) for 60 rows"),
    "sigmoids": (lambda out: out.sigmoid(), "within 0 and 1 but do not sum to one"),
    "columns": (lambda out: out.T, r"cannot be taken: .*shape \(2, 60\) for 60 rows"),
}


@pytest.mark.parametrize("way", WRONG)
def test_answers_that_are_none_are_refused(fitted: Any, tmp_path: Path, way: str) -> None:
    net, sample, rows = fitted
    how, said = WRONG[way]
    with pytest.raises(ModelAddError, match=said):
        exported.add(written(tmp_path, archive(Answering(net, how).eval(), rows[:3])), sample, kit.options(*LABELS))


@pytest.mark.parametrize("first", [nn.Dropout(0.5), nn.BatchNorm1d(6)])
def test_a_program_that_still_learns_is_refused(fitted: Any, tmp_path: Path, first: nn.Module) -> None:
    _, sample, rows = fitted
    learning = nn.Sequential(first, nn.Linear(6, 2)).train()
    with pytest.raises(ModelAddError, match=r"while it was learning \(aten.*model.eval\(\)"):
        exported.add(written(tmp_path, archive(learning, rows[:3])), sample, kit.options(*LABELS))


def test_a_program_that_draws_at_random_is_refused(fitted: Any, tmp_path: Path) -> None:
    net, sample, rows = fitted
    path = written(tmp_path, archive(Answering(net, lambda out: out + torch.rand_like(out)).eval(), rows[:3]))
    with pytest.raises(ModelAddError, match="answers the same rows differently when asked twice"):
        exported.add(path, sample, kit.options(*LABELS))


def test_programs_of_other_inputs_are_refused(fitted: Any, tmp_path: Path) -> None:
    _, sample, rows = fitted

    class Two(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a[:, :2] + b[:, :2]

    n = torch.export.Dim("n")
    target = io.BytesIO()
    torch.export.save(torch.export.export(Two(), (rows[:3], rows[:3]), dynamic_shapes=({0: n}, {0: n})), target)
    with pytest.raises(ModelAddError, match="takes a, b; one tensor of rows"):
        exported.add(written(tmp_path, target.getvalue()), sample, kit.options(*LABELS))
    words = nn.Sequential(nn.EmbeddingBag(10, 2))
    with pytest.raises(ModelAddError, match=r"is torch.int64; it is handed a tensor of floats"):
        exported.add(written(tmp_path, archive(words, torch.ones(3, 4, dtype=torch.int64))), sample, kit.options(*LABELS))


# Images


@pytest.fixture(scope="module")
def seeing() -> Any:
    bunch = load_digits()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
    project, (rows, truth) = data.digits()
    pixels = torch.from_numpy((bunch.images * 15.9).astype(np.uint8)[:, None] / np.float32(255))
    steps = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(40):
        steps.zero_grad()
        nn.functional.cross_entropy(net(pixels), torch.from_numpy(bunch.target)).backward()
        steps.step()
    net.eval()
    return net, Sample(project, tuple(rows[:50]), {}, tuple(truth[:50]))


def arrays(sample: Sample, size: tuple[int, int, int]) -> Any:
    return inputs.stacked(inputs.opened(sample.rows, "image"), size)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("open_size", [False, True])
def test_images(seeing: Any, tmp_path: Path, colour: bool, open_size: bool) -> None:
    net, sample = seeing
    module = Answering(net, lambda out: out).eval()
    if colour:
        module = nn.Sequential(Grey(), net).eval()
    channels = 3 if colour else 1
    shapes = {0: torch.export.Dim("n")}
    path = written(tmp_path, archive(module, torch.rand(3, channels, 8, 8), shapes=(shapes,)))
    engine = exported.add(path, sample, kit.options(*"0123456789"))
    again = kit.reloaded(exported, engine)
    assert isinstance(engine, Sees)
    assert isinstance(again, Sees)
    assert again.size == (8, 8, channels)
    given = arrays(sample, again.size)
    with torch.no_grad():
        expected = kit.softmax(module(torch.from_numpy(given).float().permute(0, 3, 1, 2)).numpy())
    assert np.abs(again.probabilities(given) - expected).max() < 1e-6
    assert (expected.argmax(1) == [int(label) for label in sample.truth]).mean() > 0.8  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sees images of shape"):
        again.probabilities(given[:, :4])


class Grey(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(1, keepdim=True)


class Open(nn.Module):
    """Takes images of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(1, 4, 3), nn.Linear(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.conv(images).mean((2, 3)))


def test_images_of_any_size_are_seen_at_their_own_or_not_at_all(tmp_path: Path) -> None:
    dims = [torch.export.Dim(name, min=4) for name in "nhw"]
    path = written(tmp_path, archive(Open().eval(), torch.rand(5, 1, 9, 10), shapes=({0: dims[0], 2: dims[1], 3: dims[2]},)))
    project = data.project("image", ["a", "b"])
    rng = np.random.default_rng(0)
    same = [{"image": data.encoded(rng.integers(0, 255, (12, 7), dtype=np.uint8))} for _ in range(6)]
    engine = exported.add(path, Sample(project, tuple(same)), kit.options("a", "b"))
    assert isinstance(engine, Sees)
    assert engine.size == (12, 7, 1)
    assert kit.reloaded(exported, engine).probabilities(rng.random((3, 12, 7, 1))).shape == (3, 2)
    mixed = [*same, {"image": data.encoded(rng.integers(0, 255, (5, 7), dtype=np.uint8))}]
    with pytest.raises(ModelAddError, match="images of any size, and the sample's differ in size"):
        exported.add(path, Sample(project, tuple(mixed)), kit.options("a", "b"))
    with pytest.raises(ModelAddError, match="no image of the sample can be opened: image is not an image"):
        exported.add(path, Sample(project, ({"image": b"no"}, {"image": None})), kit.options("a", "b"))
    flat = written(tmp_path, archive(nn.Linear(6, 2), torch.rand(3, 6)), "flat.pt2")
    with pytest.raises(ModelAddError, match=r"has the axes \(any, 6\); images are"):
        exported.add(flat, Sample(project, tuple(same)), kit.options("a", "b"))


def test_a_class_of_images_gets_the_channels_that_it_takes(seeing: Any, code: Path) -> None:
    _, sample = seeing
    layers = "nn.Sequential(nn.Conv2d({}, 8, 3), nn.Flatten(), nn.Linear(288, 10))"
    (code / "nets.py").write_text(
        f"from torch import nn\ndef grey(): return {layers.format(1)}\ndef rgb(): return {layers.format(3)}\n"
    )
    for name, channels in [("grey", 1), ("rgb", 3)]:
        net = nn.Sequential(nn.Conv2d(channels, 8, 3), nn.Flatten(), nn.Linear(288, 10)).eval()
        torch.save(net.state_dict(), code / "weights.pt")
        engine = exported.add(code / "weights.pt", sample, kit.options(*"0123456789", class_name=f"nets:{name}"))
        assert isinstance(engine, Sees)
        assert engine.size == (8, 8, channels)
        given = arrays(sample, engine.size)
        with torch.no_grad():
            expected = kit.softmax(net(torch.from_numpy(given).float().permute(0, 3, 1, 2)).numpy())
        assert np.abs(kit.reloaded(exported, engine).probabilities(given) - expected).max() < 1e-6
    mixed = Sample(sample.project, (*sample.rows, {"image": data.encoded(np.zeros((9, 8), dtype=np.uint8))}))
    with pytest.raises(ModelAddError, match="differ in size"):
        exported.add(code / "weights.pt", mixed, kit.options(*"0123456789", class_name="nets:rgb"))
    bigger = Sample(sample.project, ({"image": data.encoded(np.zeros((9, 9), dtype=np.uint8))},))
    with pytest.raises(ModelAddError, match=r"does not take a float32 tensor of shape \[1, 1, 9, 9\]"):
        exported.add(code / "weights.pt", bigger, kit.options(*"0123456789", class_name="nets:rgb"))


# Loading


def test_what_cannot_be_loaded(fitted: Any, tmp_path: Path) -> None:
    net, sample, rows = fitted
    engine = exported.add(written(tmp_path, archive(net, rows[:3])), sample, kit.options(*LABELS))
    files, settings = dict(engine.files()), engine.settings()
    with pytest.raises(ModelLoadError, match=r"cannot be loaded: 'model\.pt2'"):
        exported.load(LABELS, settings, {}, "cpu")
    with pytest.raises(ModelLoadError, match="not a zip archive"):
        exported.load(LABELS, settings, {"model.pt2": b"no"}, "cpu")
    with pytest.raises(ModelLoadError, match="meaning 'x', which is unknown"):
        exported.load(LABELS, {**settings, "meaning": "x"}, files, "cpu")
    with pytest.raises(ModelLoadError, match="cannot be loaded"):
        exported.load(LABELS, {**settings, "picture": {"size": [0, 1, 2], "layout": "nchw"}}, files, "cpu")
    with pytest.raises(DeviceError):
        exported.load(LABELS, settings, files, "tpu")
    with pytest.raises(ModelAddError, match=r"no torch.export archive that can be taken: .*ONNX"):
        exported.add(written(tmp_path, b"no"), sample, kit.options(*LABELS))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_probabilities(fitted: Any, seeing: Any, tmp_path: Path) -> None:
    net, sample, rows = fitted
    engine = exported.add(written(tmp_path, archive(net, rows[:3])), sample, kit.options(*LABELS, device="cuda"))
    assert engine.device.type == "cuda"
    assert np.abs(kit.reloaded(exported, engine, "cuda").probabilities(kit.cells(sample)) - own(net, rows)).max() < 1e-5
    sees, images = seeing
    path = written(tmp_path, archive(sees, torch.rand(3, 1, 8, 8)))
    there = exported.add(path, images, kit.options(*"0123456789", device="cuda"))
    given = arrays(images, (8, 8, 1))
    here = kit.reloaded(exported, there, "cpu")
    assert np.abs(there.probabilities(given) - here.probabilities(given)).max() < 1e-5


# What a worker does not run


class Harmless:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def changed(content: bytes, name: str, to: Any) -> bytes:
    """An archive with one entry replaced (or added); `to` may be a function of the text that was there."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w") as new:
        held = {entry.partition("/")[2]: old.read(entry) for entry in old.namelist()}
        held[name] = to(held[name].decode()).encode() if callable(to) else to
        for each, data_ in held.items():
            new.writestr(f"archive/{each}", data_)
    return target.getvalue()


def edited(content: bytes, edit: Any) -> bytes:
    def again(text: str) -> str:
        program = json.loads(text)
        edit(program)
        return json.dumps(program)

    return changed(content, "models/model.json", again)


def _first_node(program: Any) -> Any:
    return next(node for node in program["graph_module"]["graph"]["nodes"] if "linear" in node["target"])


def test_pickles_in_an_archive_are_not_loaded(fitted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, _, rows = fitted
    ran = tmp_path / "ran"
    held = archive(net, rows[:3])
    saved = io.BytesIO()
    torch.save((Harmless(ran),), saved)
    bad = {
        "data/sample_inputs/model.pt": saved.getvalue(),
        "data/weights/model.pt": saved.getvalue(),
        "data/constants/opaque_0": pickle.dumps(Harmless(ran)),
        "data/constants/model.pt": saved.getvalue(),
    }
    monkeypatch.setattr(logging, "raiseExceptions", False)  # torch 2.13 logs this case with a wrong format
    torch.export.load(io.BytesIO(changed(held, "data/sample_inputs/model.pt", saved.getvalue())))
    assert ran.exists(), "torch.export.load itself does unpickle, which is what the screen is for"
    ran.unlink()
    for name, content in bad.items():
        data_ = changed(held, name, content)
        if name.startswith("data/sample"):
            exported.load(LABELS, {"meaning": "log-odds", "features": []}, {"model.pt2": data_}, "cpu")
            continue
        with pytest.raises(ModelLoadError, match=f"pickle {re.escape(name)}"):
            exported.load(LABELS, {"meaning": "log-odds", "features": []}, {"model.pt2": data_}, "cpu")

    def pickled(text: str) -> str:
        document = json.loads(text)
        next(iter(document["config"].values()))["use_pickle"] = True
        return json.dumps(document)

    data_ = changed(changed(held, "data/weights/weight_0", saved.getvalue()), "data/weights/model_weights_config.json", pickled)
    with pytest.raises(ModelLoadError, match=r"scale\.weight is pickled"):
        exported.load(LABELS, {"meaning": "log-odds", "features": []}, {"model.pt2": data_}, "cpu")
    assert not ran.exists()


def _set(key: str, value: Any) -> Any:
    def edit(program: Any) -> None:
        _first_node(program)[key] = value

    return edit


def _rename(program: Any) -> None:
    graph = program["graph_module"]["graph"]
    graph["inputs"][0]["as_tensor"]["name"] = "x):\n    import os\n    return (y"


def _tree(type_: Any, context: Any) -> Any:
    def edit(program: Any) -> None:
        tree = {"type": type_, "context": context, "children_spec": []}
        program["graph_module"]["module_call_graph"][0]["signature"]["out_spec"] = json.dumps([1, tree])

    return edit


def _size(text: str) -> Any:
    def edit(program: Any) -> None:
        for value in program["graph_module"]["graph"]["tensor_values"].values():
            for size in value["sizes"]:
                if "as_expr" in size:
                    size["as_expr"]["expr_str"] = text

    return edit


ENUM = json.dumps({"__enum__": True, "fqn": "antigravity:X", "name": "Y"})
EDITS = {
    "an attribute of torch": (_set("target", "torch.os.system"), "uses the operator torch.os.system"),
    "torch.load": (_set("target", "torch.load"), "uses the operator torch.load"),
    "an attribute of an operator": (_set("target", "torch.ops.aten.relu.default.__call__"), "uses the operator"),
    "a file": (_set("target", "torch.ops.aten.from_file.default"), "uses the operator"),
    "TorchScript's own": (_set("target", "torch.ops.aten.save.default"), "uses the operator"),
    "another library": (_set("target", "torch.ops.torchvision.nms.default"), "torchvision.nms.default, which is none of torch's"),
    "operator.call": (_set("target", "_operator.methodcaller"), "uses the operator"),
    "a name with code": (_rename, "the name 'x\\):"),
    "a tree with a module": (_tree("builtins.dict", ENUM), "names that are not texts"),
    "a tree of a class": (_tree("collections.namedtuple", "x"), "takes or returns a collections.namedtuple"),
    "a size with code": (_size("__import__('os').getcwd()"), "holds the size"),
    "a size with chr": (_size("eval(chr(49))"), "holds the size"),
    "a size too large": (_size("Integer(9)**99**99**99"), "holds the size"),
    "a long size": (_size("1+" * 2000 + "1"), "holds the size"),
    "a long text": (_set("inputs", [{"name": "x", "arg": {"as_string": "x" * 2000}, "kind": 1}]), "more than 1,000 characters"),
    "an object": (_set("outputs", [{"as_custom_obj": {"name": "x", "class_fqn": "y"}}]), "an object of a class"),
    "another text": (_set("kind", "'quoted'"), "holds the text"),
}


@pytest.mark.parametrize("which", EDITS)
def test_programs_that_would_run_python_are_refused(fitted: Any, which: str) -> None:
    net, _, rows = fitted
    edit, said = EDITS[which]
    with pytest.raises(screen.Refused, match=said):
        screen.rebuilt(edited(archive(net, rows[:3]), edit))


def test_guards_metadata_and_extra_files_are_left_out(fitted: Any) -> None:
    net, _, rows = fitted

    def edit(program: Any) -> None:
        program["guards_code"] = ["__import__('os').abort()"]

    held = changed(edited(archive(net, rows[:3]), edit), "extra/notes.txt", b"mine")
    again = screen.rebuilt(held)
    assert screen.rebuilt(again) == again
    for gone in (b"abort", b"stack_trace", b"notes.txt", b"test_exported"):
        assert gone not in again
    found = exported.opened(again).module()(rows)
    assert torch.equal(found, net(rows))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("data/aotinductor/model/x.so", b"", "compiled code"),
        ("archive_version", b"9", "its archive_version is b'9'"),
        ("byteorder", b"big", "its byteorder is b'big'"),
        ("models/other.json", b"{}", "holds 'models/other.json'"),
        ("models/model.json", b"{", "models/model.json in it is not JSON"),
        ("data/weights/model_weights_config.json", b"[]", "the list of data/weights/"),
        (
            "data/weights/model_weights_config.json",
            b'{"config": {"a": {"use_pickle": false, "tensor_meta": {}}}}',
            "weights/None is missing",
        ),
        ("data/weights/weight_0", b"", "is empty and has a size"),
    ],
)
def test_archives_of_other_parts_are_refused(fitted: Any, name: str, content: bytes, said: str) -> None:
    net, _, rows = fitted
    with pytest.raises(screen.Refused, match=said):
        screen.rebuilt(changed(archive(net, rows[:3]), name, content))


def test_archives_that_are_too_large_or_incomplete(fitted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    net, _, rows = fitted
    held = archive(net, rows[:3])
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    with pytest.raises(screen.Refused, match="holds no data/weights"):
        screen.rebuilt(empty.getvalue())
    monkeypatch.setattr(screen, "MAX_BYTES", len(held) - 1)
    with pytest.raises(screen.Refused, match="at most 0 are taken"):
        screen.rebuilt(held)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("archive/data/weights/weight_0", bytes(len(held)))
    with pytest.raises(screen.Refused, match="unpacks to more"):
        screen.rebuilt(packed.getvalue())


def test_a_large_file_is_not_read(tmp_path: Path, fitted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, sample, _ = fitted
    monkeypatch.setattr(reading, "MAX_BYTES", 10)
    for name in ("model.pt2", "weights.pt"):
        with pytest.raises(ModelAddError, match=r"has 0\.0 MB; at most 0 are taken"):
            exported.add(written(tmp_path, bytes(11), name), sample, kit.options(*LABELS))


class Deep(nn.Module):
    """Of the layers that people use."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(1, 16)
        self.body = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.1)
        self.memory = nn.GRU(16, 8, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(16)
        self.last = nn.Sequential(nn.GELU(), nn.Linear(16, 2), nn.Softmax(dim=-1))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            clean = torch.nan_to_num(rows, nan=0.0).clamp(-1e3, 1e3) / 100
        held, _ = self.memory(self.body(self.embed(clean[..., None])))
        where = torch.where(rows.isnan().any(1, keepdim=True), torch.zeros(()), torch.ones(()))
        return self.last(self.norm(held[:, -1] + held.max(1).values * where + torch.arange(16) / 16))


def test_layers_that_people_use_come_through(tmp_path: Path) -> None:
    sample, matrix, _ = kit.breast_cancer()
    torch.manual_seed(0)
    net = Deep().eval()
    rows = torch.from_numpy(matrix[:60])
    engine = exported.add(written(tmp_path, archive(net, rows[:4])), sample, kit.options(*LABELS))
    holes = [{**row, next(iter(row)): None} for row in sample.rows[:3]]
    with torch.no_grad():
        plain = rows[:3].clone()
        plain[:, 0] = float("nan")
        assert np.abs(kit.reloaded(exported, engine).probabilities(kit.cells(sample)) - net(rows).numpy()).max() < 1e-6
        assert np.abs(engine.probabilities(kit.cells(sample, holes)) - net(plain).numpy()).max() < 1e-6


# As a worker has it


def test_a_program_is_brought_saved_and_loaded(fitted: Any, seeing: Any, tmp_path: Path) -> None:
    net, sample, rows = fitted
    taken = kit.brought(written(tmp_path, archive(net, rows[:3])), sample, kit.options(*LABELS), tmp_path)
    assert np.abs(kit.probabilities(taken) - own(net, rows)).max() < 1e-6
    assert (taken.predictor.card.kind, taken.answered, taken.problems) == ("own:torch-export", 60, {})
    table = taken.predictor
    assert isinstance(table, TableModel)
    assert np.abs(table.table_probabilities(table.encode(sample.rows)) - own(net, rows)).max() < 1e-6
    sees, images = seeing
    path = written(tmp_path, archive(sees, torch.rand(3, 1, 8, 8)))
    shown = Sample(images.project, (*images.rows, {"image": b"no"}))
    taken = kit.brought(path, shown, kit.options(*"0123456789"), tmp_path / "images")
    with torch.no_grad():
        expected = kit.softmax(sees(torch.from_numpy(arrays(images, (8, 8, 1))).float().permute(0, 3, 1, 2)).numpy())
    assert np.abs(kit.probabilities(taken)[:50] - expected).max() < 1e-6
    assert list(taken.problems) == [50]


def test_a_row_with_a_missing_value_goes_to_a_person_who_is_told(fitted: Any, tmp_path: Path) -> None:
    net, sample, rows = fitted
    holes = [{**row, "mean_area": None} if n in (2, 40) else row for n, row in enumerate(sample.rows)]
    path = written(tmp_path, archive(net, rows[:3]))
    taken = kit.brought(path, Sample(sample.project, tuple(holes)), kit.options(*LABELS), tmp_path)
    assert set(taken.problems) == {2, 40}
    assert "not a number; mean_area is missing" in taken.problems[2]
    expected = np.delete(own(net, rows), [2, 40], 0)
    assert np.abs(np.delete(kit.probabilities(taken), [2, 40], 0) - expected).max() < 1e-6


def test_weights_with_their_class_are_brought(fitted: Any, code: Path) -> None:
    net, sample, rows = fitted
    torch.save(net.state_dict(), code / "weights.pt")
    taken = kit.brought(code / "weights.pt", sample, kit.options(*LABELS, class_name="nets:Net"), code)
    assert np.abs(kit.probabilities(taken) - own(net, rows)).max() < 1e-6


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_a_changed_program_is_refused_or_answers_but_runs_nothing_else(small: bytes, draw: st.DataObject) -> None:
    """Any text of a program stands in place of any other: what passes the screen is a program or a ValueError."""
    with zipfile.ZipFile(io.BytesIO(small)) as held:
        text = held.read("archive/models/model.json").decode()
    texts = sorted(set(re.findall(r'"[^"\\]*"', text)))
    mine = st.sampled_from([*texts, '"torch.os.abort"', '"_operator.call"', '"x=1;y"', '"__import__"', "null", "[]", "{}", "7"])
    for _ in range(draw.draw(st.integers(1, 3))):
        text = text.replace(draw.draw(st.sampled_from(texts)), draw.draw(mine), draw.draw(st.sampled_from([1, 2, -1])))
    try:
        program = exported.opened(screen.rebuilt(changed(small, "models/model.json", text.encode())))
    except ValueError:
        return
    assert isinstance(program, torch.export.ExportedProgram)


@pytest.fixture(scope="module")
def small() -> bytes:
    return archive(nn.Linear(2, 2), torch.rand(3, 2))
