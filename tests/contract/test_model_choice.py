"""The key `model` of project.yaml where predictions come from elsewhere."""

from pathlib import Path

import pytest

from contract.files import FileError
from contract.project import Project, read_project

HEAD = """\
project: claims
input:
  type: tabular
  id: claim_id
  features: {amount: {type: number}}
labels: [no, yes]
model:
"""


def read(folder: Path, model: str, head: str = HEAD) -> Project:
    file = folder / "project.yaml"
    file.write_text(head + "".join(f"  {line}\n" for line in model.splitlines()))
    return read_project(file)


def test_where_predictions_come_from(tmp_path: Path) -> None:
    held = read(tmp_path, 'uri: external\nversion: "2026-11"\nprobabilities: {no: p_no, yes: p_yes}')
    assert held.external
    assert (held.model.version, held.model.probabilities) == ("2026-11", {"no": "p_no", "yes": "p_yes"})
    assert Project.model_validate_json(held.model_dump_json()) == held
    assert read(tmp_path, "uri: external\nversion: 7").model.version == "7"
    assert not read(tmp_path, "uri: registry:claims@champion").external


def test_labels_that_are_numbers_are_named_as_such(tmp_path: Path) -> None:
    held = read(tmp_path, "uri: external\nprobabilities: {0: p0, true: p1}", HEAD.replace("[no, yes]", "[0, true]"))
    assert held.model.probabilities == {"0": "p0", "true": "p1"}


def test_a_project_that_says_no_more_than_before_keeps_its_content(tmp_path: Path) -> None:
    held = read(tmp_path, "uri: registry:claims@champion")
    assert held.model_dump(mode="json")["model"] == {"uri": "registry:claims@champion", "trainer": "auto"}


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("uri: external\nversion: 2026.10", "9: model.version = 2026.1: must be the name of a model version: a text"),
        ("uri: external\nversion: true", "9: model.version = True: must be the name of a model version"),
        ("uri: external\nversion: ''", "9: model.version = '': must be the name of a model version"),
        ("uri: registry:claims@champion\nversion: v1", "9: model.version = 'v1': is for `uri: external` alone"),
        ("uri: registry:claims@champion\nprobabilities: {no: p}", "9: model.probabilities: is for `uri: external` alone"),
        ("uri: external\nprobabilities: [p_no, p_yes]", "9: model.probabilities = ['p_no', 'p_yes']: must be {LABEL: COLUMN"),
        ("uri: external\nprobabilities: {}", "9: model.probabilities: must be {LABEL: COLUMN"),
        ("uri: external\nprobabilities:\n  no: p\n  yse: q", "11: model.probabilities.yse = 'q': is no label of the project"),
        ("uri: external\nprobabilities:\n  yse: q", "nearest is yes"),
        ("uri: external\nprobabilities: {no: p, yes: p}", "model.probabilities.no = 'p': is named for two labels"),
        ("uri: external\nprobabilities: {no: amount}", "model.probabilities.no = 'amount': is also a feature, shown, or the id"),
        ("uri: external\nprobabilities: {no: claim_id}", "is also a feature, shown, or the id"),
        ("uri: external\nprobabilities: {no: 3}", "model.probabilities.no = 3: input should be a valid string"),
        ("uri: external\nversions: v1", "9: model.versions = 'v1': unknown key; nearest is version"),
    ],
)
def test_what_is_wrong_names_line_key_and_mend(tmp_path: Path, model: str, said: str) -> None:
    with pytest.raises(FileError) as refused:
        read(tmp_path, model)
    assert said in str(refused.value)
