"""The files of a project, as they are read back."""

import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.starting import writing
from app.starting.profile import Column, Profile, profile
from app.starting.reading import read
from contract.files import parse_yaml
from contract.policy import Policy, read_policy
from contract.project import Project, read_project
from tests.app.starting.making import csv_file, shaped

NASTY = st.one_of(
    st.text(min_size=1, max_size=30).filter(lambda text: text.strip() and not any("\ud800" <= c <= "\udfff" for c in text)),
    st.text(string.punctuation + string.whitespace + "ynoYN01", min_size=1, max_size=8).filter(str.strip),
    st.sampled_from(
        ["no", "Yes", "1", "1.0", "01", "1:30", "~", "null", "on", "2026-01-01", "0x1F", "1e5", ".inf", "- a", "a: b"]
    ),
    st.sampled_from(
        ["a #b", "'q'", '"q"', "{x}", "[x]", "*a", "&a", "!t", "%", "@", "`", "a\nb", "\t", "é", "größe", "🙂", "=", "<<"]
    ),
)


def made(names: list[str], labels: list[str], keys: dict[str, str] | None = None) -> Profile:
    """A profile of features of these names."""
    columns = tuple(Column(name, "feature", "number", f"why {name}", name) for name in names)
    out = tuple(Column(f"{name} out", "left out", None, f"because of {name}", name) for name in names)
    return Profile("tabular", (*columns, *out), "the label", tuple(labels), (*labels, None), keys=keys or {})


def round_trip(folder: Path, found: Profile, name: str = "claims") -> tuple[Project, Policy]:
    said = writing.policy(0.9321, 0.05, "a test")
    writing.write(folder, writing.project(found, name, said="a\ntest: of it #"), said, writing.guidelines(found, name))
    project = read_project(folder / "project.yaml")
    return project, read_policy(folder / project.policy, project)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(NASTY, min_size=1, max_size=5, unique=True),
    labels=st.lists(NASTY.map(str.strip).filter(bool), min_size=2, max_size=5, unique=True),
)
def test_any_name_is_read_back(tmp_path: Path, names: list[str], labels: list[str]) -> None:
    project, _ = round_trip(tmp_path, made(names, labels))
    assert list(project.input.features) == names
    assert list(project.labels) == labels
    assert {feature.type for feature in project.input.features.values()} == {"number"}


@given(NASTY)
def test_a_scalar_is_the_same_to_every_reader(text: str) -> None:
    written = writing.scalar(text)
    assert parse_yaml(f"a: {{x: {written}, {written}: 1}}\n", "").data == {"a": {"x": text, text: 1}}
    if text.isprintable():
        assert yaml.safe_load(f"- {written}\n- {{x: {written}}}\n") == [text, {"x": text}]


def test_a_plain_name_stays_plain() -> None:
    assert [writing.scalar(text) for text in ("amount", "hours per week", "Köln", "a/b (%)")] == [
        "amount",
        "hours per week",
        "Köln",
        "a/b (%)",
    ]
    assert [writing.scalar(text) for text in ("no", "1", "", "a: b", "on")] == ['"no"', '"1"', '""', '"a: b"', '"on"']


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("hours_per_week", "Hours per week"),
        ("hoursPerWeek", "Hours per week"),
        ("age", "Age"),
        ("Age", None),
        ("SSN", None),
        ("BMI_value", "BMI value"),
        ("_", None),
        ("größe_cm", "Größe cm"),
        ("cons.price.idx", "Cons price idx"),
    ],
)
def test_titles(name: str, title: str | None) -> None:
    assert writing.title_of(name) == title


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("motor claims 2026.csv", "motor-claims-2026"),
        ("adult/data.parquet", "adult"),
        ("2026_Fälle.csv.gz", "falle"),
        ("日本/data.csv", "data"),
        ("日本/東京.csv", "cases"),
        ("x" * 90 + ".csv", "x" * 60),
    ],
)
def test_a_project_is_named_after_its_file(path: str, name: str) -> None:
    assert writing.project_name(Path("/9") / path) == name


@pytest.mark.parametrize(
    ("name", "id_", "noun"),
    [
        ("claims", None, "claim"),
        ("adult", "row_id", "case"),
        ("policies", "id", "policy"),
        ("data", "loan_application_id", "loan application"),
        ("business", None, "case"),
        ("sms_spam", None, "case"),
    ],
)
def test_nouns(name: str, id_: str | None, noun: str) -> None:
    columns = (Column(id_, "id", None, "", ""),) if id_ else ()
    assert writing.noun_of(name, Profile("tabular", columns, "y", ("a", "b"), ())) == noun


def test_a_text_is_called_after_its_column(tmp_path: Path) -> None:
    texts = [f"some words of customer number {n} about a card" for n in range(200)]
    assert writing.noun_of("banking", shaped(tmp_path, {"customer_message": texts})) == "message"


def test_the_files_say_what_was_found_and_why(tmp_path: Path) -> None:
    columns: dict[str, Any] = {
        "claim_id": [f"c{n * 7}" for n in range(200)],
        "opened_at": [f"2026-01-{1 + n % 9:02}" for n in range(200)],
        "amount": [f"{n % 37}.5" for n in range(200)],
        "sex": ["f" if n % 3 else "m" for n in range(200)],
        "page": [f"https://a.example/{n}" for n in range(200)],
        "version": ["v1"] * 200,
        "outcome": ["good" if n % 4 else "bad" for n in range(200)],
    }
    file = csv_file(tmp_path / "claims.csv", columns)
    found = profile(read(file), label="outcome", time="opened_at", groups=["sex"])
    project, policy = round_trip(tmp_path / "project", found)
    text = (tmp_path / "project" / "project.yaml").read_text()
    assert text.startswith("# a test: of it #\nproject: claims\ntitle: Claims\nnoun: claim ")
    assert "    #   version: constant: always v1\n" in text
    assert "  bad: {title: Bad, key: b}         # 25.0% of the rows\n" in text
    assert project.input.id == "claim_id"
    assert project.input.time == "opened_at"
    assert {name: feature.title for name, feature in project.input.features.items()} == {"amount": "Amount"}
    assert {name: shown.type for name, shown in project.input.show.items()} == {"page": "link"}
    assert project.input.groups == ("sex",)
    assert project.label_keys() == {"bad": "b", "good": "g"}
    assert (project.model.uri, project.model.trainer) == ("registry:claims@champion", "auto")
    assert (policy.automate.at_least, policy.evidence.max_error, policy.evidence.signers) == (0.9321, 0.05, 1)
    assert (policy.autonomy, policy.audit.rate, policy.evidence.confidence) == ("set", 0.05, 0.95)
    assert Policy(autonomy="set").review == policy.review
    told = (tmp_path / "project" / "guidelines.md").read_text()
    assert told.startswith("*This is a draft, ")
    assert "- **bad**: when to choose it\n- **good**: when to choose it\n" in told
    assert "Judge by the claim itself." in told


def test_a_policy_that_lets_nothing_act(tmp_path: Path) -> None:
    text = writing.policy(None, 0.01, "No threshold holds 1 % error\non 40 held-out rows.")
    (tmp_path / "policy.yaml").write_text(text)
    project, _ = round_trip(tmp_path / "p", made(["a"], ["x", "y"]))
    policy = read_policy(tmp_path / "policy.yaml", project)
    assert (policy.automate.at_least, policy.evidence.max_error) == ("off", 0.01)
    assert "  # No threshold holds 1 % error\n  # on 40 held-out rows.\n  at_least: off " in text


def test_predictions_made_elsewhere(tmp_path: Path) -> None:
    columns: dict[str, Any] = {
        "amount": [f"{n % 37}.5" for n in range(60)],
        "p: yes": [0.25] * 60,
        "p: no": [0.75] * 60,
    }
    found = profile(read(csv_file(tmp_path / "a.csv", columns)), probabilities=["p: yes", "p: no"])
    text = writing.project(found, "scores", said="a test", version="2026-11: third")
    writing.write(tmp_path / "p", text, writing.policy(None, 0.05, ""), writing.guidelines(found, "scores"))
    project = read_project(tmp_path / "p" / "project.yaml")
    assert project.external
    assert (project.model.version, project.model.probabilities) == ("2026-11: third", {"no": "p: no", "yes": "p: yes"})
    assert "another system's prediction" in (tmp_path / "p" / "guidelines.md").read_text()


def test_many_labels_are_not_listed_in_the_guidelines() -> None:
    found = made(["a"], [f"intent_{n}" for n in range(77)])
    assert "There are 77; write down here which of them are easily confused" in writing.guidelines(found, "banking")
    assert len(writing.guidelines(found, "banking").splitlines()) < 15


def test_labels_with_nothing_to_say_of_them_are_a_list() -> None:
    text = writing.project(made(["a"], ["<=50K", ">50K"]), "adult", said="a test")
    assert '\nlabels: ["<=50K", ">50K"]           # as they stand in the label: <=50K 50.0%, >50K 50.0% of the rows\n' in text


def test_project_yaml_says_where_labels_come_from_that_no_column_holds(tmp_path: Path) -> None:
    held = read(csv_file(tmp_path / "a.csv", {"x": [f"{n}.5" for n in range(60)]}))
    text = writing.project(profile(held, labels=("deny", "pay")), "a", said="a test")
    assert "# as named when the project was started\n" in text
    assert "probabilities" not in text
