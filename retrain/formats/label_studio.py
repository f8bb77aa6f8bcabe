"""Tasks of Label Studio: a case each, what the model said of it, and what people answered; and its labelling configuration."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

from contract.project import Project
from retrain.formats import cells, tables

CONFIG = "label_config.xml"
LOCAL = "/data/local-files/?d="
"""How Label Studio is told of a file below the folder that it serves."""
FROM, TO = "label", "case"
"""What the configuration calls the choice, and what it is made about."""


class Tasks:
    """One list of tasks."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        self._columns, self._tasks = columns, list[str]()

    def add(self, row: Mapping[str, Any]) -> int:
        self._tasks.append(json.dumps(task(row, self._columns), ensure_ascii=False))
        return len(self._tasks[-1].encode())

    def data(self) -> bytes:
        return ("[" + ",\n".join(self._tasks) + "]\n").encode()


def task(row: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """A row as a task. What was rejected is an annotation that was cancelled."""
    held = {name: cells.as_json(row[name], kind) for name, kind in columns.items()}
    inputs, groups = tables.parted(columns)
    given = {name: held.pop(name) for name in inputs}
    data = {"external_id": held.pop("external_id"), **_shown(given, columns)}
    data |= {"groups": {name: held.pop(name) for name in groups}} if groups else {}
    said = {"result": _choice(row["label"]), "was_cancelled": row["label"] is None, "ground_truth": False}
    predicted = {"model_version": row["model_version"], "score": row["confidence"], "result": _choice(row["predicted_label"])}
    predictions = [predicted] if row["predicted_label"] is not None else []
    return {"data": data | held, "predictions": predictions, "annotations": [said]}


def read(data: bytes, columns: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The rows of one list of our tasks."""
    inputs, _ = tables.parted(columns)
    for each in json.loads(data):
        held = dict(each["data"])
        key = key_of({name: columns[name] for name in inputs})
        given = held.pop(key)
        held |= given if key == "input" else {inputs[0]: plain(given)}
        held |= held.pop("groups", {})
        yield {name: cells.of_json(held[name], kind) for name, kind in columns.items()}


def config(project: Project) -> str:
    """The labelling configuration: the case, and a choice among the labels."""
    kind = project.input.type
    shown = {"tabular": "Table", "text": "Text", "image": "Image"}[kind]
    held = f'  <{shown} name="{TO}" value="${"input" if kind == "tabular" else kind}"/>'
    choices = "".join(f"    <Choice value={quoteattr(each)}/>\n" for each in project.labels)
    head = f'  <Choices name="{FROM}" toName="{TO}" choice="single" showInLine="true">'
    return f"<View>\n{held}\n{head}\n{choices}  </Choices>\n</View>\n"


def key_of(inputs: Mapping[str, str]) -> str:
    """Under which name a task has the case."""
    if len(inputs) == 1 and (kind := next(iter(inputs.values()))) in ("text", "image"):
        return kind
    return "input"


def plain(value: Any) -> Any:
    """The path of a file in the folder, where Label Studio is told of one."""
    return value.removeprefix(LOCAL) if isinstance(value, str) else value


def _shown(given: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    key = key_of({name: columns[name] for name in given})
    if key == "input":
        return {key: dict(given)}
    value = next(iter(given.values()))
    return {key: LOCAL + value if key == "image" and value is not None else value}


def _choice(label: str | None) -> list[dict[str, Any]]:
    if label is None:
        return []
    return [{"from_name": FROM, "to_name": TO, "type": "choices", "value": {"choices": [label]}}]
