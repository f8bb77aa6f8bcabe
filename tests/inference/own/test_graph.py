import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import BooleanTensorType, FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from torch import nn

from inference.errors import ModelAddError, ModelLoadError
from inference.own import graph, inputs, nodes, reading
from inference.own.engine import Sample, Sees
from tests.inference import data
from tests.inference.own import kit

LABELS = ("malignant", "benign")


def written(folder: Path, model: Any, name: str = "model.onnx") -> Path:
    path = folder / name
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return path


def converted(model: Any, example: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return to_onnx(model, example, options=options or None)


CLASSIFIERS = {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
    "forest": RandomForestClassifier(10, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=10, random_state=0),
    "bayes": make_pipeline(StandardScaler(), GaussianNB()),
    "network": make_pipeline(StandardScaler(), MLPClassifier((5,), max_iter=600, random_state=0)),
    "neighbours": make_pipeline(StandardScaler(), KNeighborsClassifier()),
}


@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_of_skl2onnx_answer_as_they_do_in_scikit_learn(tmp_path: Path, name: str, zipmap: bool) -> None:
    sample, matrix, _ = kit.breast_cancer()
    _, (_, truth) = data.breast_cancer()
    model = CLASSIFIERS[name].fit(matrix, truth)
    path = written(tmp_path, converted(model, matrix[:1], zipmap=zipmap))
    named = name != "neighbours" or zipmap
    engine = graph.add(path, sample, kit.options(*(() if named else tuple(model.classes_))))
    again = kit.reloaded(graph, engine)
    assert again.labels == tuple(model.classes_) == ("benign", "malignant")
    assert np.abs(again.probabilities(kit.cells(sample)) - model.predict_proba(matrix[:60])).max() < 1e-5
    own = onnxruntime.InferenceSession(path.read_bytes()).run(None, {"X": matrix[:60]})[1]
    own = [[row[label] for label in again.labels] for row in own] if zipmap else own
    assert np.abs(again.probabilities(kit.cells(sample)) - np.array(own)).max() < 1e-6
    assert any("names its answers itself" in line for line in engine.said()) == named
    assert not isinstance(engine, Sees)


def test_whole_numbers_are_labels_of_the_same_text(tmp_path: Path) -> None:
    _, matrix, truth = kit.breast_cancer()
    sample = Sample(data.project("tabular", ["1", "0"], {f"f{n}": {"type": "number"} for n in range(6)}), tuple(
        {f"f{n}": float(value) for n, value in enumerate(row)} for row in matrix[:40]
    ))  # fmt: skip
    for labels in (truth, truth.astype(float)):
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(matrix, labels)
        engine = graph.add(written(tmp_path, converted(model, matrix[:1])), sample, kit.options())
        assert kit.reloaded(graph, engine).labels == ("0", "1")
        assert np.abs(engine.probabilities(kit.cells(sample)) - model.predict_proba(matrix[:40])).max() < 1e-6


def test_other_names_for_the_same_labels_come_from_the_owner(tmp_path: Path) -> None:
    sample, matrix, truth = kit.breast_cancer()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(matrix, truth)
    path = written(tmp_path, converted(model, matrix[:1]))
    with pytest.raises(ModelAddError, match=r"0 is no label of the project, and the model knows 0, 1; .*--labels"):
        graph.add(path, sample, kit.options())
    engine = graph.add(path, sample, kit.options(*LABELS))
    assert any("names its answers 0, 1; these are malignant, benign" in line for line in engine.said())
    assert np.abs(engine.probabilities(kit.cells(sample)) - model.predict_proba(matrix[:60])).max() < 1e-6


def test_labels_in_another_order_are_refused_where_the_model_names_them(tmp_path: Path) -> None:
    sample, matrix, _ = kit.breast_cancer()
    _, (_, truth) = data.breast_cancer()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(matrix, truth)
    with pytest.raises(ModelAddError, match="the model itself names its answers benign,malignant; leave --labels out"):
        graph.add(written(tmp_path, converted(model, matrix[:1])), sample, kit.options(*LABELS))
    near = make_pipeline(StandardScaler(), KNeighborsClassifier()).fit(matrix, truth)
    path = written(tmp_path, converted(near, matrix[:1], zipmap=False))
    with pytest.raises(ModelAddError, match=r"highest answer in \d of 60 rows, so its answers are not malignant, benign"):
        graph.add(path, sample, kit.options(*LABELS))
    with pytest.raises(ModelAddError, match=r"names no labels; .*--labels"):
        graph.add(path, sample, kit.options())


def test_a_machine_that_votes_is_taken(tmp_path: Path) -> None:
    """Its label is by vote, its probabilities by Platt's fit, and the two may differ."""
    sample, matrix, _ = kit.breast_cancer()
    _, (_, truth) = data.breast_cancer()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SVC(probability=True, random_state=0).fit(matrix, truth)
    engine = graph.add(written(tmp_path, converted(model, matrix[:1], zipmap=False)), sample, kit.options())
    assert np.abs(engine.probabilities(kit.cells(sample)) - model.predict_proba(matrix[:60])).max() < 1e-5


def mixed_model(rows: Any, truth: Any) -> Any:
    """A Pipeline over columns of every type, and its inputs by name."""
    import pandas as pd

    frame = pd.DataFrame(rows)
    parts = ColumnTransformer(
        [
            ("n", StandardScaler(), ["radius", "age"]),
            ("c", OneHotEncoder(handle_unknown="ignore"), ["size"]),
            ("t", TfidfVectorizer(token_pattern="[a-zA-Z0-9]+", lowercase=False), "note"),
            ("b", "passthrough", ["smooth"]),
        ]
    )
    return make_pipeline(parts, LogisticRegression()).fit(frame, truth), frame


MIXED = {
    "age": {"type": "number"},
    "radius": {"type": "number"},
    "size": {"type": "category"},
    "note": {"type": "text"},
    "smooth": {"type": "boolean"},
    "unused": {"type": "date"},
}


@pytest.fixture
def mixed(tmp_path: Path) -> Any:
    _, (held, truth) = data.mixed()
    rows = [
        {**{key: row[key] for key in ("radius", "size", "note", "smooth")}, "age": n % 90, "unused": "2020-01-02"}
        for n, row in enumerate(held)
        if None not in row.values()
    ]
    truth = [label for label, row in zip(truth, held, strict=True) if None not in row.values()]
    model, frame = mixed_model(rows, truth)
    types = [
        ("radius", FloatTensorType([None, 1])),
        ("size", StringTensorType([None, 1])),
        ("note", StringTensorType([None, 1])),
        ("age", Int64TensorType([None, 1])),
        ("smooth", BooleanTensorType([None, 1])),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skl2onnx import convert_sklearn

        converted_model = convert_sklearn(model, initial_types=types)
    sample = Sample(data.project("tabular", list(LABELS), MIXED), tuple(rows[:50]))
    return written(tmp_path, converted_model), sample, model.predict_proba(frame[:50])


def test_an_input_per_column_gets_it_by_name(mixed: Any) -> None:
    path, sample, expected = mixed
    engine = graph.add(path, sample, kit.options())
    again = kit.reloaded(graph, engine)
    assert again.labels == ("benign", "malignant")
    assert np.abs(again.probabilities(kit.cells(sample)) - expected).max() < 1e-5
    assert any("5 columns by name" in line and "does not look at unused" in line for line in engine.said())


def test_values_that_a_column_cannot_hold_are_said(mixed: Any) -> None:
    path, sample, expected = mixed
    holes = [{**row, "size": None} if n == 3 else row for n, row in enumerate(sample.rows)]
    engine = graph.add(path, Sample(sample.project, tuple(holes)), kit.options())
    with pytest.raises(ValueError, match="size is missing, and the model takes no missing value there"):
        engine.probabilities(kit.cells(sample, holes))
    assert np.abs(engine.probabilities(kit.cells(sample, holes[:3])) - expected[:3]).max() < 1e-5
    for name, value, said in [
        ("age", 3.5, r"age is 3.5, and the model takes whole numbers there"),
        ("age", None, "age is missing"),
        ("smooth", None, "smooth is missing"),
        ("radius", "wide", "radius holds a value that is no number"),
    ]:
        with pytest.raises(ValueError, match=said):
            engine.probabilities(kit.cells(sample, [{**sample.rows[0], name: value}]))


def test_columns_that_do_not_fit_are_named(mixed: Any) -> None:
    path, sample, _ = mixed
    without = {name: kind for name, kind in MIXED.items() if name != "note"}
    with pytest.raises(ModelAddError, match="takes note, which the project has no feature for"):
        graph.add(path, Sample(data.project("tabular", list(LABELS), without), sample.rows), kit.options())
    other = {**MIXED, "size": {"type": "number"}}
    with pytest.raises(ModelAddError, match=r"size is a number, and the model takes size: tensor\(string\)"):
        graph.add(path, Sample(data.project("tabular", list(LABELS), other), sample.rows), kit.options())


def test_a_matrix_of_other_columns_is_refused(tmp_path: Path) -> None:
    sample, matrix, truth = kit.breast_cancer()
    path = written(tmp_path, converted(LogisticRegression(max_iter=3000).fit(matrix, truth), matrix[:1]))
    features: dict[str, Any] = {name: {"type": "number"} for name in sample.project.input.features}
    wider = kit.with_features(sample, {**features, "more": {"type": "number"}}, [{**sample.rows[0], "more": 1.0}])
    with pytest.raises(ModelAddError, match=r"takes X: tensor\(float\) of \[any, 6\], and the project has 7 features"):
        graph.add(path, wider, kit.options(*LABELS))
    first = next(iter(features))
    kinds = kit.with_features(sample, {**features, first: {"type": "category"}}, [{**sample.rows[0], first: "x"}])
    with pytest.raises(ModelAddError, match=f"takes a matrix of numbers, and {first} is a category"):
        graph.add(path, kinds, kit.options(*LABELS))


def test_texts(tmp_path: Path) -> None:
    project, (rows, labels) = data.messages()
    model = make_pipeline(TfidfVectorizer(token_pattern="[a-zA-Z]+", lowercase=False), LogisticRegression()).fit(
        [row["text"] for row in rows], labels
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skl2onnx import convert_sklearn

        paths = [
            written(tmp_path, convert_sklearn(model, initial_types=[("words", StringTensorType(shape))]), f"{len(shape)}.onnx")
            for shape in ([None, 1], [None])
        ]
    texts = [row["text"] for row in rows[:60]]
    for path in paths:
        engine = graph.add(path, Sample(project, tuple(rows[:60])), kit.options())
        again = kit.reloaded(graph, engine)
        assert again.labels == ("card", "money")
        assert np.abs(again.probabilities(texts) - model.predict_proba(texts)).max() < 1e-5
    _, matrix, truth = kit.breast_cancer()
    path = written(tmp_path, converted(LogisticRegression(max_iter=3000).fit(matrix, truth), matrix[:1]))
    with pytest.raises(ModelAddError, match=r"text is a text, and the model takes X: tensor\(float\)"):
        graph.add(path, Sample(project, tuple(rows[:5])), kit.options())


def test_a_locale_that_the_machine_lacks_is_named(tmp_path: Path) -> None:
    body = [helper.make_node("StringNormalizer", ["x"], ["out"], case_change_action="LOWER", locale="xx_XX")]
    ends = [helper.make_tensor_value_info(name, TensorProto.STRING, ["n"]) for name in ("x", "out")]
    made = helper.make_model(
        helper.make_graph(body, "g", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    with pytest.raises(ModelAddError, match=r"install en_US\.UTF-8"):
        graph.add(written(tmp_path, made), Sample(kit.text_project("a", "b"), ({"text": "x"},)), kit.options("a", "b"))


# Graphs made by hand and by torch


def small(output: str, shape: list[Any], body: list[Any], weights: dict[str, Any], rows: Any = "n", width: int = 6) -> bytes:
    """A graph over a matrix `x` of numbers."""
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, width])
    result = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    made = helper.make_model(
        helper.make_graph(body, "g", [given], [result], held), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    return bytes(made.SerializeToString())


def linear(rows: Any = "n", columns: int = 2, then: str | None = None, scale: float = 1e-3, **attributes: Any) -> bytes:
    rng = np.random.default_rng(0)
    weights = {"w": (rng.normal(size=(6, columns)) * scale).astype(np.float32), "b": rng.normal(size=columns).astype(np.float32)}
    body = [helper.make_node("Gemm", ["x", "w", "b"], ["y" if then else "out"])]
    if then:
        body.append(helper.make_node(then, ["y"], ["out"], **attributes))
    return small("out", [rows, columns], body, weights, rows)


def ran(content: bytes, matrix: Any) -> Any:
    return onnxruntime.InferenceSession(content).run(None, {"x": matrix})[0]


@pytest.mark.parametrize("rows", ["n", 1, 7])
def test_log_odds_and_graphs_of_a_fixed_number_of_rows(tmp_path: Path, rows: Any) -> None:
    sample, matrix, _ = kit.breast_cancer()
    engine = graph.add(written(tmp_path, linear(rows)), sample, kit.options(*LABELS))
    again = kit.reloaded(graph, engine)
    assert engine.settings()["meaning"] == "log-odds"
    assert np.abs(again.probabilities(kit.cells(sample)) - kit.softmax(ran(linear(), matrix[:60]))).max() < 1e-6
    assert again.probabilities(kit.cells(sample, sample.rows[:5])).shape == (5, 2)


def test_one_answer_a_row(tmp_path: Path) -> None:
    sample, matrix, _ = kit.breast_cancer()
    for then, meaning in [("Sigmoid", "second probability"), (None, "second log-odds")]:
        content = linear(columns=1, then=then, scale=0.01)
        engine = graph.add(written(tmp_path, content), sample, kit.options(*LABELS))
        assert engine.settings()["meaning"] == meaning
        second = ran(content, matrix[:60])[:, 0].astype(float)
        second = second if then else 1 / (1 + np.exp(-second))
        assert np.abs(kit.reloaded(graph, engine).probabilities(kit.cells(sample))[:, 1] - second).max() < 1e-6
        assert any("benign, the second label" in line for line in engine.said())


def test_a_missing_number_is_handed_over_as_nan(tmp_path: Path) -> None:
    sample, matrix, _ = kit.breast_cancer()
    holes = [{**row, next(iter(row)): None} if n == 4 else row for n, row in enumerate(sample.rows)]
    engine = graph.add(written(tmp_path, linear()), Sample(sample.project, tuple(holes)), kit.options(*LABELS))
    found = engine.probabilities(kit.cells(sample, holes))
    assert np.isnan(found[4]).all()
    assert np.abs(np.delete(found, 4, 0) - np.delete(kit.softmax(ran(linear(), matrix[:60])), 4, 0)).max() < 1e-6


@pytest.mark.parametrize(
    ("content", "labels", "said"),
    [
        (linear(), (), "gives 2 answers and names no labels"),
        (linear(columns=3), LABELS, "gives 3 answers, and the labels are malignant, benign"),
        (linear(then="Sigmoid"), LABELS, "do not sum to one"),
        (linear(then="ReduceMean", axes=[0], keepdims=1), LABELS, r"of shape \(1, 2\) for 60 rows"),
        (linear(scale=np.nan), LABELS, "answers no row of the sample with numbers"),
        (b"no", LABELS, "cannot be read as an ONNX model: it is not an ONNX file"),
        (b"", LABELS, "cannot be read as an ONNX model: onnxruntime says"),
        (linear()[:-40], LABELS, "cannot be read as an ONNX model"),
    ],
)
def test_models_that_do_not_do(tmp_path: Path, content: bytes, labels: tuple[str, ...], said: str) -> None:
    sample, _, _ = kit.breast_cancer()
    with pytest.raises(ModelAddError, match=said):
        graph.add(written(tmp_path, content), sample, kit.options(*labels))


def test_an_operator_of_another_library_is_refused(tmp_path: Path) -> None:
    sample, _, _ = kit.breast_cancer()
    body = [helper.make_node("Magic", ["x"], ["out"], domain="mine")]
    with pytest.raises(ModelAddError, match=r"onnxruntime says: .*"):
        graph.add(written(tmp_path, small("out", ["n", 2], body, {})), sample, kit.options(*LABELS))


def test_several_outputs(tmp_path: Path) -> None:
    sample, matrix, truth = kit.breast_cancer()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(matrix, truth)
    with pytest.raises(ModelAddError, match=r"which output of the model answers cannot be told: .*zipmap=False"):
        graph.add(written(tmp_path, converted(model, matrix[:1], zipmap="columns")), sample, kit.options(*LABELS))
    made = onnx.load_from_string(linear(then="Identity"))
    made.graph.output[0].name = "logits"
    made.graph.node[1].output[0] = "logits"
    made.graph.node.append(helper.make_node("ReduceSum", ["y"], ["total"], keepdims=1))
    made.graph.output.insert(0, helper.make_tensor_value_info("total", TensorProto.FLOAT, [1, 1]))
    engine = graph.add(written(tmp_path, made), sample, kit.options(*LABELS))
    assert np.abs(engine.probabilities(kit.cells(sample)) - kit.softmax(ran(linear(), matrix[:60]))).max() < 1e-6


def test_weights_in_other_files_are_refused(tmp_path: Path) -> None:
    sample, _, _ = kit.breast_cancer()
    path = tmp_path / "big.onnx"
    onnx.save(onnx.load_from_string(linear()), str(path), save_as_external_data=True, location="big.data", size_threshold=0)
    with pytest.raises(ModelAddError, match=r"keeps weights in other files .*external_data=False"):
        graph.add(path, sample, kit.options(*LABELS))
    settings = graph.add(written(tmp_path, linear()), sample, kit.options(*LABELS)).settings()
    with pytest.raises(ModelLoadError, match="its weights lie in other files"):
        graph.load(LABELS, settings, {"model.onnx": path.read_bytes()}, "cpu")
    hidden = onnx.load_from_string(linear())
    hidden.graph.node.insert(
        0, helper.make_node("Constant", [], ["c"], value=onnx.load(str(path), load_external_data=False).graph.initializer[0])
    )
    assert nodes.facts(hidden.SerializeToString()).external


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    sample, _, _ = kit.breast_cancer()
    engine = graph.add(written(tmp_path, linear()), sample, kit.options(*LABELS))
    files, settings = dict(engine.files()), engine.settings()
    for broken, content, said in [
        ({}, {}, r"cannot be loaded: 'model\.onnx'"),
        ({}, {"model.onnx": b"no"}, "not an ONNX file"),
        ({"output": "other"}, files, "has no output other"),
        ({"meaning": None}, files, "meaning None, which is unknown"),
        ({"features": {"a": "number"}}, files, "a is a number, and the model takes x"),
        ({"features": ["a"]}, files, "cannot be loaded"),
    ]:
        with pytest.raises(ModelLoadError, match=said):
            graph.load(LABELS, {**settings, **broken}, content, "cpu")
    with pytest.raises(ModelAddError, match="cannot be read: No such file"):
        graph.add(tmp_path / "gone.onnx", sample, kit.options(*LABELS))


def test_what_to_install_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample, _, _ = kit.breast_cancer()
    engine = graph.add(written(tmp_path, linear()), sample, kit.options(*LABELS))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelAddError, match=r"pip install 'signoff\[onnx\]'"):
        graph.add(written(tmp_path, linear()), sample, kit.options(*LABELS))
    with pytest.raises(ModelLoadError, match=r"pip install 'signoff\[onnx\]'"):
        graph.load(LABELS, engine.settings(), engine.files(), "cpu")


def test_a_large_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 10)
    with pytest.raises(ModelAddError, match="at most 0 are taken"):
        graph.add(written(tmp_path, bytes(11)), kit.breast_cancer()[0], kit.options(*LABELS))


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_images_in_either_order_of_axes(tmp_path: Path, layout: str, colour: bool) -> None:
    channels = 3 if colour else 1
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
    weights = {name.replace(".", "_"): value.detach().numpy() for name, value in net.named_parameters()}
    shape = ["n", channels, 8, 8] if layout == "nchw" else ["n", 8, 8, channels]
    body = [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2])] if layout == "nhwc" else []
    body += [
        helper.make_node("Conv", ["x" if layout == "nchw" else "t", "0_weight", "0_bias"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("Gemm", ["f", "3_weight", "3_bias"], ["out"], transB=1),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 10])
    held = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    made = helper.make_model(
        helper.make_graph(body, "g", [given], [out], held), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    project, (rows, _) = data.digits()
    sample = Sample(project, tuple(rows[:150]))
    engine = graph.add(written(tmp_path, made), sample, kit.options(*"0123456789"))
    again = kit.reloaded(graph, engine)
    assert isinstance(again, Sees)
    assert again.size == (8, 8, channels)
    assert any(layout.upper() in line for line in engine.said())
    pixels = inputs.stacked(inputs.opened(sample.rows, "image"), again.size)
    with torch.no_grad():
        expected = kit.softmax(net(torch.from_numpy(pixels).float().permute(0, 3, 1, 2)).numpy())
    assert np.abs(again.probabilities(pixels) - expected).max() < 1e-5
    with pytest.raises(ValueError, match="sees images of shape"):
        again.probabilities(pixels[:, :4])
    with pytest.raises(ModelAddError, match=r"for images it is handed one tensor of floats|has the axes"):
        graph.add(written(tmp_path, linear()), sample, kit.options(*"0123456789"))


def test_a_torch_model_exported_to_onnx(tmp_path: Path) -> None:
    sample, matrix, _ = kit.breast_cancer()
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2), nn.Softmax(1)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, (torch.from_numpy(matrix[:3]),), str(tmp_path / "t.onnx"), dynamo=True, external_data=False, verbose=False,
            dynamic_shapes=({0: torch.export.Dim("n")},),
        )  # fmt: skip
    engine = graph.add(tmp_path / "t.onnx", sample, kit.options(*LABELS))
    with torch.no_grad():
        expected = net(torch.from_numpy(matrix[:60])).numpy()
    assert np.abs(kit.reloaded(graph, engine).probabilities(kit.cells(sample)) - expected).max() < 1e-6
    assert engine.settings()["meaning"] == "probabilities"


@pytest.mark.skipif("CUDAExecutionProvider" not in onnxruntime.get_available_providers(), reason="onnxruntime has no CUDA")
def test_a_gpu_gives_the_same_probabilities(tmp_path: Path) -> None:
    sample, _, _ = kit.breast_cancer()
    engine = graph.add(written(tmp_path, linear()), sample, kit.options(*LABELS, device="cuda"))
    here = kit.reloaded(graph, engine, "cpu")
    assert np.abs(engine.probabilities(kit.cells(sample)) - here.probabilities(kit.cells(sample))).max() < 1e-5


def test_without_a_gpu_the_cpu_serves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert graph._providers("cuda:1", ["CUDAExecutionProvider", "CPUExecutionProvider"])[0][1]["device_id"] == 1
    assert graph._providers("cuda", ["CPUExecutionProvider"]) == ["CPUExecutionProvider"]
    assert "onnxruntime-gpu" in caplog.text


def test_the_digits_of_a_forest(tmp_path: Path) -> None:
    """Ten classes, and a table of as many columns as pixels."""
    bunch = load_digits()
    names = [f"p{n}" for n in range(64)]
    project = data.project("tabular", list("0123456789"), {name: {"type": "number"} for name in names})
    rows = tuple(dict(zip(names, values, strict=True)) for values in bunch.data[:50].tolist())
    model = RandomForestClassifier(15, random_state=0).fit(bunch.data.astype(np.float32), bunch.target)
    engine = graph.add(
        written(tmp_path, converted(model, bunch.data[:1].astype(np.float32))), Sample(project, rows), kit.options()
    )
    assert engine.labels == tuple("0123456789")
    found = kit.reloaded(graph, engine).probabilities(inputs.columns(rows, names))
    assert np.abs(found - model.predict_proba(bunch.data[:50].astype(np.float32))).max() < 1e-6


def test_a_graph_is_brought_saved_and_loaded(mixed: Any, tmp_path: Path) -> None:
    path, sample, expected = mixed
    holes = [{**row, "size": None} if n == 3 else row for n, row in enumerate(sample.rows)]
    taken = kit.brought(path, Sample(sample.project, tuple(holes)), kit.options(), tmp_path)
    assert np.abs(np.delete(kit.probabilities(taken) - expected, 3, 0)).max() < 1e-5
    assert list(taken.problems) == [3]
    assert "size is missing" in taken.problems[3]
