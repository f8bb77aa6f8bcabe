"""The same models on the CPU and on CUDA: `python -m tests.benchmarks.devices [FOLDER WITH THE DATA SETS]`.

Trains, scores and explains on both, in one run, and holds the probabilities of one against the other.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from contract.project import Project
from contract.records import Prediction
from explain.catalog import explainers_for
from inference import store, training
from inference.batching import probe
from inference.own import adding
from inference.own.engine import Options, Sample

ROOT = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[3] / "shared" / "data"
SCORED = 20_000
SECONDS = 2.0
Rows = Sequence[dict[str, Any]]


class Residual(nn.Module):
    """A small ResNet, as people bring them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 64, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1))
            for _ in range(8)
        )
        self.last = nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        held = self.first(images)
        for block in self.blocks:
            held = torch.relu(held + block(held))
        return self.last(held.mean((2, 3)))  # type: ignore[no-any-return]


def data(name: str, label: str, kind: str, drop: Sequence[str] = ()) -> tuple[Project, Rows, list[str]]:
    frame = pd.read_parquet(ROOT / name / "data.parquet").sample(frac=1, random_state=0).drop(columns=["row_id", *drop])
    labels = frame.pop(label).astype(str).tolist()
    if kind == "image":
        rows = [{"image": bytes(each)} for each in frame["image"]]
    else:
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    numeric = {each: pd.api.types.is_numeric_dtype(frame[each]) for each in frame.columns}
    features = {each: {"type": "number" if number else "category"} for each, number in numeric.items()}
    given = {"type": kind, **({"features": features} if kind == "tabular" else {})}
    names = sorted(set(labels))
    model = {"uri": f"registry:{name}@champion"}
    return Project.model_validate({"project": name, "input": given, "labels": names, "model": model}), rows, labels


def trained(project: Project, rows: Rows, labels: list[str], trainer: str, learn: int, folder: Path) -> None:
    """Train on both, keep the one of CUDA, and compare what it says on either."""
    took = {}
    for device in ("cpu", "cuda"):
        begun = time.perf_counter()
        fit = training.train(project, rows[:learn], labels[:learn], trainer=trainer, device=device)
        took[device] = time.perf_counter() - begun
    store.save(fit, folder)
    print(f"\n## {project.project} ({trainer}), {learn:,} rows")
    print(f"training: CPU {took['cpu']:.1f} s, CUDA {took['cuda']:.1f} s, {took['cpu'] / took['cuda']:.1f} times")
    compare(folder, rows[learn:])


def compare(folder: Path, rows: Rows) -> None:
    """Scoring and explaining of a saved model on both devices."""
    some = [rows[n % len(rows)] for n in range(SCORED)]
    models = {device: store.load(folder, device=device) for device in ("cpu", "cuda")}
    rates = {}
    for device, model in models.items():
        size = probe(model, some[:256], budget_seconds=SECONDS)
        rates[device] = rate(model, some, size)
        print(f"scoring on {device}: {rates[device]:,.0f} rows a second, {size:,} at once")
    print(f"scoring: {rates['cuda'] / rates['cpu']:.1f} times")
    agree(models, some[:1024])
    for device, model in models.items():
        spent = [f"{each.method} {explained(each, model, rows):.2f} s" for each in explainers_for(model, model.background)]
        print(f"explaining on {device}: {', '.join(spent)} a case")


def rate(model: Any, rows: Rows, size: int) -> float:
    model.predict(rows[:size])
    begun, done = time.perf_counter(), 0
    while time.perf_counter() - begun < SECONDS:
        for at in range(0, len(rows), size):
            done += len(model.predict(rows[at : at + size]))
            if time.perf_counter() - begun > SECONDS:
                break
    return done / (time.perf_counter() - begun)


def agree(models: dict[str, Any], rows: Rows) -> None:
    answers = {device: model.predict(rows) for device, model in models.items()}
    pairs = [(a, b) for a, b in zip(*answers.values(), strict=True) if isinstance(a, Prediction) and isinstance(b, Prediction)]
    gaps = np.abs([np.subtract(a.probabilities, b.probabilities).max() for a, b in pairs])
    other = sum(a.label != b.label for a, b in pairs)
    print(
        f"probabilities differ by at most {gaps.max():.1e} (median {np.median(gaps):.1e}); {other} of {len(pairs)} labels differ"
    )


def explained(explainer: Any, model: Any, rows: Rows) -> float:
    """Median seconds of three cases after one that warms up."""
    spent = []
    for row in rows[:4]:
        begun = time.perf_counter()
        explainer.explain(row, label=model.predict([row])[0].label, seed=1)
        spent.append(time.perf_counter() - begun)
    return float(np.median(spent[1:]))


def brought_images(rows: Rows, project: Project, folder: Path) -> None:
    """A ResNet that was exported elsewhere."""
    torch.manual_seed(0)
    image = torch.zeros(2, 1, 28, 28)
    program = torch.export.export(Residual().eval(), (image,), dynamic_shapes=({0: torch.export.Dim("rows")},))
    torch.export.save(program, folder / "net.pt2")
    given = Sample(project, tuple(rows[:64]))
    store.save(
        adding.add(str(folder / "net.pt2"), given, Options(tuple(project.labels), device="cpu")).predictor, folder / "kept"
    )
    print("\n## a brought ResNet of 8 blocks (torch.export), 28 x 28 images")
    compare(folder / "kept", rows)


def brought_texts(rows: Rows, project: Project, folder: Path) -> None:
    """A transformer of the size of BERT base, untrained: its speed is what is asked."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    words = sorted({word for row in rows for word in row["text"].lower().split()})
    held = Tokenizer(models.WordLevel({word: n for n, word in enumerate(["[PAD]", "[UNK]", *words])}, unk_token="[UNK]"))
    held.pre_tokenizer = pre_tokenizers.Whitespace()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=held, pad_token="[PAD]", unk_token="[UNK]", model_max_length=128)
    labels = dict(enumerate(project.labels))
    config = BertConfig(vocab_size=len(words) + 2, id2label=labels, label2id={label: n for n, label in labels.items()})
    torch.manual_seed(0)
    BertForSequenceClassification(config).save_pretrained(folder / "bert")
    wrapped.save_pretrained(folder / "bert")
    given = Sample(project, tuple(rows[:32]))
    store.save(adding.add(str(folder / "bert"), given, Options(device="cuda")).predictor, folder / "kept")
    print("\n## a brought transformer of the size of BERT base (Hugging Face), short texts")
    compare(folder / "kept", rows)


def main() -> None:
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {torch.get_num_threads()} threads on the CPU")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        table, text, image = (
            data("adult", "income", "tabular", ("official_split",)),
            data("banking77", "label", "text", ("official_split",)),
            data("fashion_mnist", "label_name", "image", ("label",)),
        )
        trained(*table, "torch-mlp", 14_000, folder / "table")
        trained(*text, "torch-text", 4_500, folder / "text")
        trained(*image, "torch-cnn", 6_000, folder / "image")
        for name in ("images", "texts"):
            (folder / name).mkdir()
        brought_images(image[1], image[0], folder / "images")
        brought_texts(text[1], text[0], folder / "texts")


if __name__ == "__main__":
    main()
