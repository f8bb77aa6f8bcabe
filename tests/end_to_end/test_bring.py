"""One's own model in one command, in every format: a filled queue, explained, with the model's own probabilities."""

import os
import runpy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import skops.io
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from tests.end_to_end.starting import desk, signoff
from tests.inference import data
from tests.inference.own import fits, kit
from tests.inference.own.test_transformer import tokenizer

pytestmark = [pytest.mark.timeout(240), pytest.mark.filterwarnings("ignore::UserWarning")]
ITEMS, ROWS = 40, 150
ALL_TO_PEOPLE = ("--max-error", "0.001")
"""So few rows show no such error, so that nothing acts alone, whatever the draws."""
OF_NETS = ("malignant", "benign")
NET = """\
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(5)
        self.layers = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, rows):
        return self.layers(self.norm(rows))
"""
FUNCTION = """\
import math


def score(rows):
    return [1 / (1 + math.exp((row["mean_area"] - 650) / 90 - row["mean_smoothness"])) for row in rows]
"""


@dataclass(frozen=True)
class Brought:
    """What is said after `start FILE --label COLUMN`, and the model's own answers to the rows of the file, in its order."""

    file: Path
    label: str
    said: tuple[str | Path, ...]
    trainer: str
    labels: tuple[str, ...]
    own: Any


@cache
def samples() -> pd.DataFrame:
    held = load_breast_cancer(as_frame=True)
    rows: pd.DataFrame = held.data.iloc[:, :5].rename(columns=lambda name: name.replace(" ", "_"))
    rows["diagnosis"] = held.target_names[held.target]
    return rows


def learned() -> tuple[pd.DataFrame, "pd.Series[str]"]:
    rows = samples().iloc[ROWS:]
    return rows.drop(columns="diagnosis"), rows["diagnosis"]


def fresh(folder: Path, gaps: bool = False) -> tuple[Path, pd.DataFrame]:
    """A file of rows that no model here has learned from, and its features as pandas reads them."""
    rows = samples().iloc[:ROWS].copy()
    if gaps:
        rows.loc[rows.index % 7 == 0, "mean_texture"] = np.nan
    rows.to_csv(folder / "fresh.csv", index_label="sample")
    read = pd.read_csv(folder / "fresh.csv")
    return folder / "fresh.csv", read.drop(columns=["sample", "diagnosis"])


@cache
def logistic() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(*learned())


@cache
def net() -> nn.Module:
    held: dict[str, Any] = {}
    exec(NET, held)
    torch.manual_seed(0)
    made: nn.Module = held["Net"]()
    rows, truth = learned()
    inputs = torch.tensor(rows.to_numpy(), dtype=torch.float32)
    target = torch.tensor([OF_NETS.index(label) for label in truth])
    steps = torch.optim.Adam(made.parameters(), 0.02)
    for _ in range(60):
        steps.zero_grad()
        torch.nn.functional.cross_entropy(made(inputs), target).backward()
        steps.step()
    return made.eval()


def of_net(rows: pd.DataFrame) -> Any:
    with torch.no_grad():
        return torch.softmax(net()(torch.tensor(rows.to_numpy(), dtype=torch.float32)), 1).numpy()


# Each way to bring a model


def pipeline(folder: Path) -> Brought:
    """Imputers, one-hot, TF-IDF on one column, gradient boosting."""
    rows = fits.frame().tail(ROWS).reset_index(drop=True)
    rows.to_csv(folder / "mixed.csv", index_label="sample")
    joblib.dump(fits.boosted(), folder / "model.joblib")
    model = fits.boosted()
    read = pd.read_csv(folder / "mixed.csv").drop(columns=["sample", "label"])
    said = ("--model", "model.joblib", "--trust-pickle")
    return Brought(folder / "mixed.csv", "label", said, "own:sklearn", tuple(model.classes_), model.predict_proba(read))


def xgboost(folder: Path) -> Brought:
    """With gaps, and classes that are numbers in another order than the labels of the file."""
    from xgboost import XGBClassifier

    file, rows = fresh(folder, gaps=True)
    inputs, truth = learned()
    model = XGBClassifier(n_estimators=20, max_depth=3).fit(inputs, [OF_NETS.index(label) for label in truth])
    skops.io.dump(model, folder / "model.skops")
    said = ("--model", "model.skops", "--labels", ",".join(OF_NETS))
    return Brought(file, "diagnosis", said, "own:sklearn", OF_NETS, model.predict_proba(rows))


def torch_net(folder: Path, name: str, write: Callable[[Path], object], *more: str) -> Brought:
    (folder / "net.py").write_text(NET)
    file, rows = fresh(folder)
    write(folder / name)
    said = ("--model", name, "--labels", ",".join(OF_NETS), *more)
    return Brought(file, "diagnosis", said, "own:torch-export", OF_NETS, of_net(rows))


def safetensors_file(folder: Path) -> Brought:
    return torch_net(
        folder, "net.safetensors", lambda path: safetensors.torch.save_file(net().state_dict(), path), "--class", "net:Net"
    )


def state_dict(folder: Path) -> Brought:
    return torch_net(folder, "net.pt", lambda path: torch.save(net().state_dict(), path), "--class", "net:Net")


def exported(folder: Path) -> Brought:
    def write(path: Path) -> None:
        rows = torch.zeros(2, 5)
        torch.export.save(torch.export.export(net(), (rows,), dynamic_shapes=({0: torch.export.Dim("rows")},)), path)

    return torch_net(folder, "net.pt2", write)


def onnx(folder: Path) -> Brought:
    import onnxruntime
    from skl2onnx import to_onnx

    file, rows = fresh(folder)
    given = rows.to_numpy(dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = to_onnx(logistic(), given[:1], options={"zipmap": False}).SerializeToString()
    (folder / "model.onnx").write_bytes(content)
    own = onnxruntime.InferenceSession(content).run(None, {"X": given})[1]
    return Brought(file, "diagnosis", ("--model", "model.onnx"), "own:onnx", tuple(logistic().classes_), own)


def hugging_face(folder: Path) -> Brought:
    """A BERT of one layer that learned to tell two topics apart, beside a text project."""
    _, (rows, truth) = data.messages()
    labels, texts = ("money", "card"), [row["text"] for row in rows]
    model, tokens = bert(texts[ROWS:], [labels.index(label) for label in truth[ROWS:]], labels)
    model.save_pretrained(folder / "topics")
    tokens.save_pretrained(folder / "topics")
    pd.DataFrame({"text": texts[:ROWS], "topic": truth[:ROWS]}).to_json(folder / "m.jsonl", orient="records", lines=True)
    with torch.no_grad():
        logits = [model(**tokens(text, truncation=True, return_tensors="pt")).logits.numpy() for text in texts[:ROWS]]
    return Brought(folder / "m.jsonl", "topic", ("--model", "topics"), "own:hf", labels, kit.softmax(np.concatenate(logits)))


def bert(
    texts: Sequence[str], truth: Sequence[int], labels: Sequence[str]
) -> tuple[BertForSequenceClassification, PreTrainedTokenizerFast]:
    torch.manual_seed(0)
    tokens = tokenizer(list(texts))
    config = BertConfig(
        vocab_size=len(tokens), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=40, id2label=dict(enumerate(labels)), label2id={label: n for n, label in enumerate(labels)},
    )  # fmt: skip
    model = BertForSequenceClassification(config).train()
    fed = tokens(list(texts), padding=True, truncation=True, return_tensors="pt")
    steps = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(15):
        steps.zero_grad()
        model(**fed, labels=torch.tensor(truth)).loss.backward()
        steps.step()
    return model.eval(), tokens


def function(folder: Path) -> Brought:
    """One number a row: the probability of the second label."""
    file, rows = fresh(folder)
    (folder / "own.py").write_text(FUNCTION)
    second = np.array(runpy.run_path(str(folder / "own.py"))["score"](rows.to_dict("records")))
    said = ("--model", "python:own.py:score", "--labels", ",".join(OF_NETS))
    return Brought(file, "diagnosis", said, "own:python", OF_NETS, np.column_stack([1 - second, second]))


def mlflow_folder(folder: Path) -> Brought:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sklearn = pytest.importorskip("mlflow.sklearn", reason="no MLflow: pip install -e '.[mlflow]'")
        sklearn.save_model(logistic(), folder / "logged", pip_requirements=["scikit-learn"])
    file, rows = fresh(folder)
    said, labels = ("--model", "logged", "--trust-pickle"), tuple(logistic().classes_)
    return Brought(file, "diagnosis", said, "own:sklearn", labels, logistic().predict_proba(rows))


def probabilities(folder: Path) -> Brought:
    """No model at all: the file holds what another system answered."""
    rows = samples().iloc[:ROWS].copy()
    own = logistic().predict_proba(rows.drop(columns="diagnosis"))
    rows[["p_benign", "p_malignant"]] = own
    rows.to_csv(folder / "scored.csv", index_label="sample")
    said = ("--predictions", "p_benign", "p_malignant")
    return Brought(folder / "scored.csv", "diagnosis", said, "external", ("benign", "malignant"), own)


WAYS = (
    pipeline, xgboost, safetensors_file, state_dict, exported, onnx, hugging_face, function, mlflow_folder, probabilities,
)  # fmt: skip


SLOW = ("safetensors_file", "xgboost", "exported", "state_dict", "mlflow_folder", "hugging_face", "onnx", "function")
"""Ways that differ from another one by their file alone, or whose files have tests of their own."""


@pytest.mark.parametrize(
    "way", [pytest.param(way, id=way.__name__, marks=[pytest.mark.slow] if way.__name__ in SLOW else []) for way in WAYS]
)
def test_one_command_and_the_models_own_answers_are_on_the_desk(way: Callable[[Path], Brought], tmp_path: Path) -> None:
    brought = way(tmp_path)
    told = signoff(
        tmp_path,
        "start",
        brought.file,
        "--label",
        brought.label,
        *brought.said,
        "--no-ui",
        "--items",
        str(ITEMS),
        "--name",
        "own",
        *ALL_TO_PEOPLE,
    )
    assert f"{ITEMS} rows arrived" in told.stdout
    with desk(tmp_path, "own") as there:
        assert there.champion is not None
        assert (there.champion.trainer, tuple(there.champion.labels)) == (brought.trainer, brought.labels)
        stored = there.predictions()
        expected = {name: dict(zip(brought.labels, own, strict=True)) for name, own in names(brought, there.arrived())}
        assert len(stored) == ITEMS == there.totals["items"]
        assert stored == {name: pytest.approx(expected[name], abs=1e-6) for name in stored}
        assert len({tuple(each.values()) for each in stored.values()}) > 5, "a model that always says the same proves nothing"
        waiting, explained = there.waiting, there.explained()
    assert waiting > 0
    if brought.trainer == "external":
        assert explained == {}
    else:
        assert len(explained) == min(10, waiting)
        assert all({method.split(".")[0] for method in methods} == {"shap", "lime"} for methods in explained.values())


def names(brought: Brought, arrived: set[str]) -> list[tuple[str, Any]]:
    """The model's own answer to each row that arrived, by the column `sample` or else by the number of the row."""
    if brought.file.suffix == ".csv":
        return [(name, brought.own[int(name)]) for name in arrived]
    return [(name, brought.own[int(name.rpartition("-")[2]) - 1]) for name in arrived]
