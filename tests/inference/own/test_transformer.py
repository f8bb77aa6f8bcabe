import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    PreTrainedTokenizerFast,
)

from inference.errors import DeviceError, ModelAddError, ModelLoadError
from inference.own import reading, transformer
from inference.own.engine import Sample
from tests.inference import data
from tests.inference.own import kit


def tokenizer(texts: list[str], pad: bool = True) -> PreTrainedTokenizerFast:
    """A WordPiece tokenizer of these texts."""
    held = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    held.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    held.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False))
    held.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    names = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", **({"pad_token": "[PAD]"} if pad else {})}
    return PreTrainedTokenizerFast(tokenizer_object=held, model_max_length=24, **names)


@pytest.fixture(scope="module")
def messages() -> Sample:
    project, (rows, labels) = data.messages()
    long = [{"text": "the transfer failed " * 30}, {"text": ""}, {"text": "🙂 my card 🙂"}]
    return Sample(project, (*rows[:60], *long), {}, (*labels[:60], None, None, None))


@pytest.fixture(scope="module")
def fitted(messages: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers, fitted to messages until it tells them apart."""
    torch.manual_seed(0)
    texts = [row["text"] for row in messages.rows[:60]]
    tokens = tokenizer(texts)
    config = BertConfig(
        vocab_size=len(tokens), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=40, id2label={0: "money", 1: "card"}, label2id={"money": 0, "card": 1},
    )  # fmt: skip
    model = BertForSequenceClassification(config).train()
    fed = tokens(texts, padding=True, truncation=True, return_tensors="pt")
    target = torch.tensor([["money", "card"].index(str(label)) for label in messages.truth[:60]])
    steps = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(12):
        steps.zero_grad()
        model(**fed, labels=target).loss.backward()
        steps.step()
    folder = tmp_path_factory.mktemp("bert")
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


@pytest.fixture
def copied(fitted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fitted, tmp_path / "copy"))


def edited(folder: Path, name: str, **changes: Any) -> Path:
    path = folder / name
    held = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in {**held, **changes}.items() if value is not None}))
    return folder


def own(folder: Path, texts: list[str]) -> Any:
    """The library's own answers, one text after the other."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokens = PreTrainedTokenizerFast.from_pretrained(folder)
    with torch.no_grad():
        found = [model(**tokens(text, truncation=True, return_tensors="pt")).logits.numpy() for text in texts]
    return kit.softmax(np.concatenate(found))


def texts_of(sample: Sample) -> list[str]:
    return [row["text"] for row in sample.rows]


def test_a_folder_answers_as_in_the_library(fitted: Path, messages: Sample) -> None:
    engine = transformer.add(fitted, messages, kit.options())
    again = kit.reloaded(transformer, engine)
    texts = texts_of(messages)
    expected = own(fitted, texts)
    assert again.labels == ("money", "card")
    assert np.abs(again.probabilities(texts) - expected).max() < 1e-6
    right = [again.labels[n] == label for n, label in zip(expected.argmax(1)[:60], messages.truth[:60], strict=True)]
    assert np.mean(right) > 0.9
    assert expected[:60, 0].std() > 0.1
    assert any("1 of 63 texts of the sample are longer" in line for line in engine.said())
    assert any("names its answers itself: money, card" in line for line in engine.said())
    assert set(engine.files()) <= {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_neither_order_nor_company_moves_an_answer(fitted: Path, messages: Sample) -> None:
    engine = transformer.add(fitted, messages, kit.options())
    texts = texts_of(messages)
    whole = engine.probabilities(texts)
    assert np.abs(engine.probabilities(texts[::-1])[::-1] - whole).max() < 1e-6
    assert np.abs(np.concatenate([engine.probabilities([text]) for text in texts]) - whole).max() < 1e-6
    assert engine.probabilities([]).shape == (0, 2)
    assert np.abs(engine.probabilities([None]) - engine.probabilities([""])).max() < 1e-6


def test_labels_without_names_come_from_the_owner(copied: Path, messages: Sample) -> None:
    edited(copied, "config.json", id2label=None, label2id=None)
    with pytest.raises(ModelAddError, match=r"gives 2 answers and names no labels; .*--labels"):
        transformer.add(copied, messages, kit.options())
    edited(copied, "config.json", id2label={"0": "LABEL_0", "1": "LABEL_1"})
    engine = transformer.add(copied, messages, kit.options("money", "card"))
    assert engine.labels == ("money", "card")
    assert any("as --labels says" in line for line in engine.said())
    with pytest.raises(ModelAddError, match="2 answers, and the labels are money"):
        transformer.add(copied, messages, kit.options("money"))
    edited(copied, "config.json", id2label={"1": "card", "0": "cash"})
    with pytest.raises(ModelAddError, match="cash is no label of the project, and the model knows cash, card"):
        transformer.add(copied, messages, kit.options())
    assert transformer.add(copied, messages, kit.options("money", "card")).labels == ("money", "card")


def test_names_are_read_by_their_number(copied: Path, messages: Sample) -> None:
    edited(copied, "config.json", id2label={"1": "card", "0": "money"})
    assert transformer.add(copied, messages, kit.options()).labels == ("money", "card")
    with pytest.raises(ModelAddError, match="model itself names its answers money,card; leave --labels out"):
        transformer.add(copied, messages, kit.options("card", "money"))


def test_a_table_with_one_text(fitted: Path, messages: Sample) -> None:
    features = {"amount": {"type": "number"}, "text": {"type": "text"}}
    rows = tuple({"amount": 1.0, **row} for row in messages.rows[:9])
    sample = Sample(data.project("tabular", ["card", "money"], features), (*rows, {"amount": 2.0, "text": None}))
    engine = kit.reloaded(transformer, transformer.add(fitted, sample, kit.options()))
    found = engine.probabilities(kit.cells(sample))
    assert np.abs(found - own(fitted, [*texts_of(messages)[:9], ""])).max() < 1e-6
    for kinds in ({"a": {"type": "number"}}, {"a": {"type": "text"}, "b": {"type": "text"}}):
        with pytest.raises(ModelAddError, match="reads one text, and the project"):
            transformer.add(fitted, Sample(data.project("tabular", ["card", "money"], kinds), ()), kit.options())


CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "code": ({"auto_map": {"AutoModel": "mine.Net"}}, r"config.json asks for code of its own \(auto_map\)"),
    "quantised": ({"quantization_config": {"load_in_8bit": True}}, "weights are quantised"),
    "kernels": ({"attn_implementation": "someone/kernel"}, "asks for the attention .*someone/kernel"),
    "many labels": ({"problem_type": "multi_label_classification"}, "fitted for multi label classification"),
    "a number": ({"problem_type": "regression"}, "fitted for regression"),
    "another head": ({"architectures": ["BertForMaskedLM"]}, "is a BertForMaskedLM, and a model"),
    "no head": ({"architectures": None}, "is a model without a head"),
    "another kind": ({"model_type": "unheard_of"}, "transformers says: "),
    "other sizes": ({"hidden_size": 64}, "transformers says: "),
}


@pytest.mark.parametrize("which", CONFIGS)
def test_configurations_that_are_refused(copied: Path, messages: Sample, which: str) -> None:
    changes, said = CONFIGS[which]
    good = transformer.add(copied, messages, kit.options())
    edited(copied, "config.json", **changes)
    with pytest.raises(ModelAddError, match=said):
        transformer.add(copied, messages, kit.options())
    files = {**good.files(), "config.json": (copied / "config.json").read_bytes()}
    with pytest.raises(ModelLoadError, match=said):
        transformer.load(good.labels, good.settings(), files, "cpu")


def test_code_in_a_folder_is_never_imported(copied: Path, messages: Sample) -> None:
    ran = copied / "ran"
    (copied / "mine.py").write_text(f"open({str(ran)!r}, 'w')\n")
    edited(copied, "tokenizer_config.json", auto_map={"AutoTokenizer": ["mine.Tokens", None]})
    with pytest.raises(ModelAddError, match=r"tokenizer_config.json asks for code of its own \(auto_map\)"):
        transformer.add(copied, messages, kit.options())
    edited(copied, "tokenizer_config.json", auto_map=None)
    assert "mine.py" not in transformer.add(copied, messages, kit.options()).files()
    assert not ran.exists()


def test_folders_that_do_not_do(copied: Path, messages: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(said: str) -> None:
        with pytest.raises(ModelAddError, match=said):
            transformer.add(copied, messages, kit.options())

    with pytest.raises(ModelAddError, match="is no folder"):
        transformer.add(copied / "config.json", messages, kit.options())
    monkeypatch.setattr(reading, "MAX_BYTES", 1000)
    refused("at most 0 are taken")
    monkeypatch.undo()
    (copied / "model.safetensors.index.json").write_text("{}")
    refused("holds its weights in parts; .*max_shard_size")
    (copied / "model.safetensors.index.json").unlink()
    (copied / "adapter_config.json").write_text("{}")
    refused(r"holds an adapter \(PEFT\); merge it")
    (copied / "adapter_config.json").unlink()
    weights = (copied / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(weights[:500])
    refused("transformers says: ")
    (copied / "model.safetensors").unlink()
    refused("holds no weights; .*safetensors")
    torch.save({"w": torch.zeros(1)}, copied / "pytorch_model.bin")
    refused(r"only pytorch_model.bin, which may run code .*safe_serialization=True")
    (copied / "model.safetensors").write_bytes(weights)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (copied / name).unlink()
    refused("holds no tokenizer; .*tokenizer.save_pretrained")
    (copied / "config.json").write_text("{")
    refused("config.json is not JSON")
    (copied / "config.json").write_text("[]")
    refused("config.json is not an object")
    (copied / "config.json").unlink()
    refused(r"holds no config.json; .*save_pretrained")


def test_weights_that_lack_their_head_are_refused(copied: Path, messages: Sample) -> None:
    import safetensors.torch

    held = safetensors.torch.load_file(copied / "model.safetensors")
    safetensors.torch.save_file(
        {name: value for name, value in held.items() if "classifier" not in name}, copied / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(ModelAddError, match=r"its weights lack classifier.bias, classifier.weight, so .* at random"):
        transformer.add(copied, messages, kit.options())


def test_weights_that_are_not_numbers_are_refused(copied: Path, messages: Sample) -> None:
    import safetensors.torch

    held = safetensors.torch.load_file(copied / "model.safetensors")
    held["classifier.bias"] = held["classifier.bias"] * float("nan")
    safetensors.torch.save_file(held, copied / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelAddError, match="answers no row of the sample with numbers"):
        transformer.add(copied, messages, kit.options())


def test_a_tokenizer_that_cannot_pad(messages: Sample, tmp_path: Path) -> None:
    torch.manual_seed(0)
    tokens = tokenizer(texts_of(messages), pad=False)
    config = GPT2Config(vocab_size=len(tokens), n_embd=16, n_layer=1, n_head=2, n_positions=30, id2label={0: "card", 1: "money"})
    GPT2ForSequenceClassification(config).save_pretrained(tmp_path)
    tokens.save_pretrained(tmp_path)
    engine = kit.reloaded(transformer, transformer.add(tmp_path, messages, kit.options()))
    assert np.abs(engine.probabilities(texts_of(messages)) - own(tmp_path, texts_of(messages))).max() < 1e-6


def test_what_to_install_is_said(fitted: Path, messages: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    good = transformer.add(fitted, messages, kit.options())
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelAddError, match=r"pip install 'signoff\[hf\]'"):
        transformer.add(fitted, messages, kit.options())
    with pytest.raises(ModelLoadError, match=r"pip install 'signoff\[hf\]'"):
        transformer.load(good.labels, good.settings(), good.files(), "cpu")


def test_what_cannot_be_loaded(fitted: Path, messages: Sample) -> None:
    good = transformer.add(fitted, messages, kit.options())
    with pytest.raises(ModelLoadError, match="cannot be loaded: "):
        transformer.load(good.labels, good.settings(), {}, "cpu")
    with pytest.raises(ModelLoadError, match="cannot be loaded: 'feature'"):
        transformer.load(good.labels, {}, good.files(), "cpu")
    with pytest.raises(DeviceError):
        transformer.load(good.labels, good.settings(), good.files(), "tpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_probabilities(fitted: Path, messages: Sample) -> None:
    engine = transformer.add(fitted, messages, kit.options(device="cuda"))
    assert np.abs(engine.probabilities(texts_of(messages)) - own(fitted, texts_of(messages))).max() < 1e-5


def test_a_folder_is_brought_saved_and_loaded(fitted: Path, messages: Sample, tmp_path: Path) -> None:
    taken = kit.brought(fitted, messages, kit.options(), tmp_path)
    assert np.abs(kit.probabilities(taken) - own(fitted, texts_of(messages))).max() < 1e-6
    assert (taken.predictor.card.kind, taken.answered) == ("own:hf", 63)
