import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from contract.records import Unscored
from inference.errors import ModelAddError, ModelLoadError
from inference.own import adding, function
from inference.own.engine import Opens, Sample
from tests.inference import data
from tests.inference.own import kit

LABELS = ("malignant", "benign")
MODEL = """
import json, math
from pathlib import Path
import numpy as np
from helper import names

WEIGHTS = json.loads((Path(__file__).parent / "weights.json").read_text())

def second(row):
    return 1 / (1 + math.exp(-(WEIGHTS["bias"] + sum(w * row[name] for w, name in zip(WEIGHTS["coef"], names(row))))))

def rows(rows):
    return [[1 - second(row), second(row)] for row in rows]

def array(rows):
    return np.array([[1 - second(row), second(row)] for row in rows], dtype=np.float32)

def named(rows):
    return [{"benign": second(row), "malignant": 1 - second(row)} for row in rows]

def one(rows):
    return [second(row) for row in rows]

def later(rows):
    import lazy
    return lazy.again(rows)

def fussy(rows):
    if any(row["mean_radius"] == FUSSY for row in rows):
        raise RuntimeError("not this one")
    return array(rows)

def wild(rows):
    return [[1 - second(row), second(row)] if row["mean_radius"] < 20 else [3.0, -2.0] for row in rows]

FUSSY = 0.0
number = 7
def numbers(rows): return [[5.0, -5.0] for row in rows]
def short(rows): return rows_(rows)[:-1]
rows_ = rows
def text(rows): return ["benign" for row in rows]
def ragged(rows): return [[0.5, 0.5], [1.0]] * (len(rows) // 2)
def nothing(rows): return None
def nan(rows): return [[float("nan"), None] for row in rows]
def strange(rows): return [{"benign": 0.5, "other": 0.5} for row in rows]
def sparse(rows): return [{"benign": 0.5, "malignant": 0.5} if n else {"benign": 1.0} for n, row in enumerate(rows)]
def half(rows): return [{"benign": 0.5, "malignant": 0.5} if n else {"benign": 0.5} for n, row in enumerate(rows)]
def wide(rows): return [[0.2, 0.3, 0.5] for row in rows]
def fails(rows): raise KeyError("gone")
def classes(rows): return [1 for row in rows]
"""


@pytest.fixture
def owned(tmp_path: Path) -> Iterator[Any]:
    """A file with functions around a fitted model, the sample, and the model's own probabilities."""
    sample, matrix, truth = kit.breast_cancer()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(matrix.astype(float), truth)
    scale, last = model[0], model[1]
    coef = last.coef_[0] / scale.scale_
    import json

    weights = {"coef": coef.tolist(), "bias": float(last.intercept_[0] - (coef * scale.mean_).sum())}
    (tmp_path / "weights.json").write_text(json.dumps(weights))
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "helper.py").write_text("def names(row): return list(row)\n")
    (tmp_path / "lazy.py").write_text("def again(rows): return [[0.25, 0.75] for row in rows]\n")
    plain = np.array([[row[name] for name in sample.project.input.features] for row in sample.rows])
    yield tmp_path, sample, model.predict_proba(plain)
    for name in ("helper", "lazy", "owned", "owned.model", "model"):
        sys.modules.pop(name, None)


def spec(folder: Path, name: str) -> str:
    return f"python:{folder}/model.py:{name}"


@pytest.mark.parametrize("name", ["rows", "array", "one", "named"])
def test_a_function_answers_as_it_does_alone(owned: Any, name: str) -> None:
    folder, sample, expected = owned
    engine = function.add(spec(folder, name), sample, kit.options(*(() if name == "named" else LABELS)))
    again = kit.reloaded(function, engine)
    assert (again.labels, again.files(), isinstance(again, Opens)) == (LABELS, {}, False)
    assert np.abs(again.probabilities(kit.cells(sample)) - expected).max() < 1e-6
    assert str(folder) not in sys.path
    assert str(folder / "model.py") in engine.said()[0]


def test_labels_may_come_in_the_owners_order(owned: Any) -> None:
    folder, sample, expected = owned
    engine = function.add(spec(folder, "named"), sample, kit.options("benign", "malignant"))
    assert engine.labels == ("benign", "malignant")
    assert np.abs(engine.probabilities(kit.cells(sample)) - expected[:, ::-1]).max() < 1e-9


def test_a_label_that_a_dict_leaves_out_has_no_probability(owned: Any) -> None:
    folder, sample, _ = owned
    engine = function.add(spec(folder, "sparse"), sample, kit.options())
    assert engine.labels == LABELS
    assert engine.probabilities(kit.cells(sample))[:2].tolist() == [[0, 1], [0.5, 0.5]]


def test_a_function_of_a_package(owned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, sample, expected = owned
    (folder / "owned").mkdir()
    (folder / "owned" / "__init__.py").write_text("")
    (folder / "owned" / "model.py").write_text(MODEL.replace("from helper", "from .helper"))
    for name in ("helper.py", "weights.json"):
        (folder / "owned" / name).write_text((folder / name).read_text())
    monkeypatch.chdir(folder)
    engine = function.add("python:owned.model:rows", sample, kit.options(*LABELS))
    monkeypatch.chdir("/")
    assert np.abs(kit.reloaded(function, engine).probabilities(kit.cells(sample)) - expected).max() < 1e-6
    for name in [name for name in sys.modules if name.split(".")[0] == "owned"]:
        monkeypatch.delitem(sys.modules, name)
    assert np.abs(kit.reloaded(function, engine).probabilities(kit.cells(sample)) - expected).max() < 1e-6


def test_what_a_function_imports_while_it_runs_is_found(owned: Any) -> None:
    folder, sample, _ = owned
    engine = kit.reloaded(function, function.add(spec(folder, "later"), sample, kit.options(*LABELS)))
    sys.modules.pop("lazy")
    assert engine.probabilities(kit.cells(sample)).tolist() == [[0.25, 0.75]] * 60


def test_a_function_that_raises_on_one_row_is_taken(owned: Any) -> None:
    folder, sample, expected = owned
    text = MODEL.replace("FUSSY = 0.0", f"FUSSY = {sample.rows[7]['mean_radius']!r}")
    (folder / "model.py").write_text(text)
    engine = function.add(spec(folder, "fussy"), sample, kit.options(*LABELS))
    with pytest.raises(RuntimeError, match="not this one"):
        engine.probabilities(kit.cells(sample))
    rest = [row for n, row in enumerate(sample.rows) if n != 7]
    assert np.abs(engine.probabilities(kit.cells(sample, rest)) - np.delete(expected, 7, 0)).max() < 1e-6


@pytest.mark.parametrize(
    ("name", "labels", "said"),
    [
        ("rows", (), "gives 2 answers and names no labels; .*--labels"),
        ("rows", ("benign",), "gives 2 answers, and the labels are benign"),
        ("wide", LABELS, "gives 3 answers, and the labels are malignant, benign"),
        ("numbers", LABELS, "no probabilities .*softmax"),
        ("wild", LABELS, "no probabilities .*softmax"),
        ("short", LABELS, r"shape \(59, 2\) for 60 rows"),
        ("text", LABELS, "not one row of numbers for each dict"),
        ("ragged", LABELS, "not one row of numbers for each dict"),
        ("nothing", LABELS, "cannot be taken: the model's answers"),
        ("nan", LABELS, "no row of the sample with numbers"),
        ("strange", (), "other is no label of the project, and the model knows benign, other"),
        ("half", (), "do not sum to one"),
        ("fails", LABELS, "answers no row of the sample: KeyError: 'gone'"),
        ("row", LABELS, "has no row; nearest is rows"),
        ("number", LABELS, "is a int, not a function"),
        ("", LABELS, "names nothing; write FILE.py:NAME"),
    ],
)
def test_functions_that_do_not_do(owned: Any, name: str, labels: tuple[str, ...], said: str) -> None:
    folder, sample, _ = owned
    with pytest.raises(ModelAddError, match=said):
        function.add(spec(folder, name), sample, kit.options(*labels))


def test_files_that_do_not_do(owned: Any) -> None:
    folder, sample, _ = owned
    (folder / "broken.py").write_text("import nothing_of_that_name\n")
    (folder / "leaves.py").write_text("raise SystemExit(3)\n")
    for name, said in [
        ("gone.py:f", "gone.py is not there"),
        ("broken.py:f", "broken.py cannot be imported: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("leaves.py:f", "cannot be imported: SystemExit: 3"),
    ]:
        with pytest.raises(ModelAddError, match=said):
            function.add(f"python:{folder}/{name}", sample, kit.options(*LABELS))
    with pytest.raises(ModelAddError, match="nothing_of_that_name cannot be imported"):
        function.add("python:nothing_of_that_name:f", sample, kit.options(*LABELS))
    with pytest.raises(ModelAddError, match="stands in no file of Python"):
        function.add("python:builtins:len", sample, kit.options(*LABELS))


def test_numbers_that_are_no_probabilities_leave_their_rows_to_people(owned: Any) -> None:
    folder, sample, _ = owned
    calm = Sample(sample.project, tuple(row for row in sample.rows if row["mean_radius"] < 20))
    brought = adding.add(spec(folder, "wild"), calm, kit.options(*LABELS))
    found = brought.predictor.predict(sample.rows)
    wild = [n for n, row in enumerate(sample.rows) if row["mean_radius"] >= 20]
    assert wild
    assert [n for n, answer in enumerate(found) if isinstance(answer, Unscored)] == wild


def test_a_file_that_changed_or_went_is_not_loaded(owned: Any) -> None:
    folder, sample, _ = owned
    engine = function.add(spec(folder, "rows"), sample, kit.options(*LABELS))
    settings = engine.settings()
    with pytest.raises(ModelLoadError, match="has no gone"):
        function.load(LABELS, {**settings, "function": "gone"}, {}, "cpu")
    with pytest.raises(ModelLoadError, match="not whole: 'meaning'"):
        function.load(LABELS, {key: value for key, value in settings.items() if key != "meaning"}, {}, "cpu")
    (folder / "model.py").write_text(MODEL + "\n")
    with pytest.raises(ModelLoadError, match=r"model.py has changed .*signoff model add python:"):
        function.load(LABELS, settings, {}, "cpu")
    (folder / "model.py").unlink()
    with pytest.raises(ModelLoadError, match=r"cannot be read: No such file .*put it back, or add the model anew"):
        function.load(LABELS, settings, {}, "cpu")


def test_what_the_dicts_hold(tmp_path: Path) -> None:
    """JSON values in the project's order, dates as text and None where missing; texts under their feature's name."""
    (tmp_path / "seen.py").write_text("SEEN = []\ndef ask(rows):\n    SEEN.extend(rows)\n    return [[0.5, 0.5] for _ in rows]\n")
    project, (rows, _) = data.mixed()
    engine = function.add(f"python:{tmp_path}/seen.py:ask", Sample(project, tuple(rows[:5])), kit.options(*LABELS))
    seen = engine.code.value.__globals__["SEEN"]
    assert seen == rows[:5]
    assert list(seen[0]) == list(project.input.features)
    seen.clear()
    engine.probabilities({name: [row[name] for row in rows[:5]] for name in project.input.features})
    assert seen == rows[:5]
    texts = Sample(kit.text_project(*LABELS), ({"text": "hello"}, {"text": None}))
    engine = function.add(f"python:{tmp_path}/seen.py:ask", texts, kit.options(*LABELS))
    seen.clear()
    engine.probabilities(["one", ""])
    assert seen == [{"text": "one"}, {"text": ""}]


def test_images_come_as_they_were_sent_and_arrays_as_png(tmp_path: Path) -> None:
    (tmp_path / "light.py").write_text(
        "import io\nimport numpy as np\nfrom PIL import Image\n"
        "def ask(rows):\n"
        "    light = [np.asarray(Image.open(io.BytesIO(row['image'])).convert('L')).mean() / 255 for row in rows]\n"
        "    return [{'dark': 1 - each, 'light': each} for each in light]\n"
    )
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (5 + n, 9, 3), dtype=np.uint8) for n in range(6)]
    rows = tuple({"image": data.encoded(picture)} for picture in pictures)
    sample = Sample(data.project("image", ["light", "dark"]), rows)
    engine = function.add(f"python:{tmp_path}/light.py:ask", sample, kit.options())
    again = kit.reloaded(function, engine)
    assert isinstance(again, Opens)
    assert again.labels == ("light", "dark")
    expected = [np.asarray(Image.fromarray(picture).convert("L")).mean() / 255 for picture in pictures]
    assert np.abs(again.of_bytes([row["image"] for row in rows])[:, 0] - expected).max() < 1e-9
    for picture, light in zip(pictures, expected, strict=True):
        assert abs(again.probabilities(picture[None] / 255)[0, 0] - light) < 1e-9
    for channels in (1, 3):
        array = rng.integers(0, 255, (4, 6, channels), dtype=np.uint8)
        back = np.asarray(Image.open(io.BytesIO(function.png(array / 255)))).reshape(array.shape)
        assert (back == array).all()


@pytest.mark.parametrize("name", ["fussy", "named"])
def test_a_function_is_brought_saved_and_loaded(owned: Any, tmp_path: Path, name: str) -> None:
    folder, sample, expected = owned
    text = MODEL.replace("FUSSY = 0.0", f"FUSSY = {sample.rows[7]['mean_radius']!r}")
    (folder / "model.py").write_text(text)
    taken = kit.brought(spec(folder, name), sample, kit.options(*(LABELS if name == "fussy" else ())), tmp_path)
    assert list(taken.problems) == ([7] if name == "fussy" else [])
    assert np.nanmax(np.abs(kit.probabilities(taken) - expected)) < 1e-6
    if name == "fussy":
        assert "RuntimeError: not this one" in taken.problems[7]


def test_a_function_of_images_is_brought(tmp_path: Path) -> None:
    (tmp_path / "light.py").write_text(
        "import io\nimport numpy as np\nfrom PIL import Image\n"
        "def ask(rows):\n"
        "    light = [np.asarray(Image.open(io.BytesIO(row['image'])).convert('L')).mean() / 255 for row in rows]\n"
        "    return [[each, 1 - each] for each in light]\n"
    )
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (5 + 60 * n, 9, 3), dtype=np.uint8) for n in range(6)]
    sample = Sample(data.project("image", ["light", "dark"]), tuple({"image": data.encoded(each)} for each in pictures))
    taken = kit.brought(f"python:{tmp_path}/light.py:ask", sample, kit.options("light", "dark"), tmp_path)
    expected = [np.asarray(Image.fromarray(picture).convert("L")).mean() / 255 for picture in pictures]
    assert np.abs(kit.probabilities(taken)[:, 0] - expected).max() < 1e-9
