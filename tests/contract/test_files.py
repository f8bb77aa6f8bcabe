"""project.yaml and policy.yaml: every mistake names file, line, key, value and the mend."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from contract.files import Document, FileError, nearest, parse_yaml, read_yaml, validate
from contract.policy import Policy, condition_kinds, read_policy
from contract.project import DESK_KEYS, Project, read_project

PROJECT = """\
project: claims
title: Motor claims
noun: claim
timezone: Europe/Berlin
input:
  type: tabular
  id: claim_id
  time: opened_at
  features:
    amount: {type: number, title: Amount, unit: EUR}
    region: {type: category}
    vip: {type: boolean, optional: true}
    opened: {type: date}
    description: {type: text, was: text}
  show:
    claim_page: {type: link}
    photos: {type: image, many: true}
  groups: [sex, age_band]
  subject: person_id
labels: {deny: {title: Deny, key: d, guideline: "No cover."}, pay: {title: Pay, key: y}}
reasons: {reject: [illegible, wrong_queue], correct: [missed_document], skip: [conflict]}
model: {uri: "registry:claims@champion", trainer: auto}
policy: policy.yaml
guidelines: guidelines.md
"""
POLICY = """\
autonomy: set
score: max_probability
automate:
  at_least: 0.95
  per_label: {deny: never}
  never: ["amount > 50000", "region is missing", "sex == f or age_band in ['80+']"]
audit: {rate: 0.05, due: 7d, corrects: true}
evidence: {max_error: 0.01, confidence: 0.95, signers: 1, on_alarm: review}
review:
  lease: 10m
  due: off
  reviewers: 1
  second_opinion: 0
  blind_first: drawn
  order: expected_loss
  undo_window: 15s
calendar: {days: mon-fri, hours: 9-17}
costs: {error: {pay: 1, deny: 5}, review: 0.2}
"""


def project(text: str) -> Project:
    return validate(Project, parse_yaml(text, "project.yaml"))


def policy(text: str) -> Policy:
    return validate(Policy, parse_yaml(text, "policy.yaml"))


def problems(text: str, read: object = policy) -> list[str]:
    with pytest.raises(FileError) as caught:
        read(text)  # type: ignore[operator]
    return [str(problem) for problem in caught.value.problems]


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


def test_the_files_of_the_design_are_read(tmp_path: Path) -> None:
    (tmp_path / "project.yaml").write_text(PROJECT)
    (tmp_path / "policy.yaml").write_text(POLICY)
    read = read_project(tmp_path / "project.yaml")
    assert list(read.input.features) == ["amount", "region", "vip", "opened", "description"]
    assert read.label_keys() == {"deny": "d", "pay": "y"}
    wished = read_policy(tmp_path / "policy.yaml", read)
    assert wished.automate.per_label == {"deny": "never"}
    assert wished.review.due == "off"
    assert condition_kinds(read) == {
        "sex": "text", "age_band": "text", "amount": "number", "region": "text", "vip": "boolean",
        "opened": "date", "description": "text", "label": "text", "confidence": "number",
    }  # fmt: skip


def test_what_is_kept_reads_back_as_the_same() -> None:
    for model, text in ((Project, PROJECT), (Policy, POLICY)):
        held = validate(model, parse_yaml(text, "f"))
        assert model.model_validate_json(held.model_dump_json()) == held
        assert model.model_validate(held.model_dump(mode="json")) == held


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "words"),
    [
        ("autonomy: set", "autonomy: sett", 1, "autonomy = 'sett'", "must be one of set, earned; nearest is set"),
        ("autonomy: set\n", "", 1, "autonomy", "field required"),
        ("score: max_probability", "score: max_prob", 2, "score = 'max_prob'", "nearest is max_probability"),
        ("score: max", "scor: max", 2, "scor = 'max_probability'", "unknown key; nearest is score"),
        ("at_least: 0.95", "at_least: 1.5", 4, "automate.at_least = 1.5", "less than or equal to 1"),
        ("at_least: 0.95", "at_least: -1", 4, "automate.at_least = -1", "greater than or equal to 0"),
        ("at_least: 0.95", "at_least: .nan", 4, "automate.at_least = nan", "must be one of off|greater"),
        ("at_least: 0.95", "at_least: true", 4, "automate.at_least = True", "not true or false"),
        ("at_least: 0.95", "at_least: high", 4, "automate.at_least = 'high'", "valid number.* or must be one of off"),
        ("at_least: 0.95", "at_least: [1]", 4, "automate.at_least = [1]", "valid number"),
        ("at_least: 0.95", "at_leest: 1", 4, "automate.at_leest = 1", "unknown key; nearest is at_least"),
        ("deny: never", "deny: nver", 5, "automate.per_label.deny = 'nver'", "nearest is never"),
        ("deny: never", "deny: 2", 5, "automate.per_label.deny = 2", "less than or equal to 1"),
        ("{deny: never}", "[deny]", 5, "automate.per_label = ['deny']", "valid dictionary"),
        ('"amount > 50000"', '"amount >"', 6, "automate.never", "expected a value, saw the end"),
        ("rate: 0.05", "rate: 2", 7, "audit.rate = 2", "less than or equal to 1"),
        ("rate: 0.05", "rate: often", 7, "audit.rate = 'often'", "valid number"),
        ("due: 7d", "due: soon", 7, "audit.due = 'soon'", "e.g. 10m"),
        ("corrects: true", "corrects: perhaps", 7, "audit.corrects = 'perhaps'", "valid boolean"),
        ("max_error: 0.01", "max_error: 0", 8, "evidence.max_error = 0", "greater than 0"),
        ("confidence: 0.95", "confidence: 0.5", 8, "evidence.confidence = 0.5", "greater than 0.5"),
        ("signers: 1", "signers: 0", 8, "evidence.signers = 0", "greater than or equal to 1"),
        ("signers: 1", "signers: 1.5", 8, "evidence.signers = 1.5", "valid integer"),
        ("on_alarm: review", "on_alarm: revew", 8, "evidence.on_alarm = 'revew'", "nearest is review"),
        ("lease: 10m", "lease: 10", 10, "review.lease = 10", "e.g. 10m"),
        ("lease: 10m", "lease: 99999999999w", 10, "review.lease", "longer than 10 years"),
        ("due: off", "due: of", 11, "review.due = 'of'", "not a duration.* or must be one of off; nearest is off"),
        ("reviewers: 1", "reviewers: 10", 12, "review.reviewers = 10", "less than or equal to 9"),
        ("second_opinion: 0", "second_opinion: true", 13, "review.second_opinion = True", "not true or false"),
        ("blind_first: drawn", "blind_first: some", 14, "review.blind_first = 'some'", "must be one of drawn, all"),
        ("order: expected_loss", "order: lifo", 15, "review.order = 'lifo'", "nearest is fifo"),
        ("undo_window: 15s", "undo_windw: 15s", 16, "review.undo_windw = '15s'", "nearest is undo_window"),
        ("days: mon-fri", "days: fri-mon", 17, "calendar.days = 'fri-mon'", "mon-fri"),
        ("hours: 9-17", "hours: 9-25", 17, "calendar.hours = '9-25'", "9-17"),
        ("hours: 9-17", "hours: 17-9", 17, "calendar.hours = '17-9'", "9-17"),
        ("hours: 9-17", "hours: 9-²", 17, "calendar.hours = '9-²'", "9-17"),
        ("pay: 1", "pay: -1", 18, "costs.error.pay = -1", "greater than or equal to 0"),
        ("pay: 1", "pay: .inf", 18, "costs.error.pay = inf", "finite"),
        ("review: 0.2", "review: much", 18, "costs.review = 'much'", "valid number"),
    ],
)
def test_every_key_of_the_policy_is_checked(old: str, new: str, line: int, key: str, words: str) -> None:
    found = problems(changed(POLICY, old, new))
    assert len(found) == 1
    assert found[0].startswith(f"policy.yaml:{line}: {key}")
    assert re.search(words, found[0])


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "words"),
    [
        ("project: claims", "project: Claims!", 1, "project = 'Claims!'", "pattern"),
        ("title: Motor claims", "titel: Motor", 2, "titel = 'Motor'", "nearest is title"),
        ("noun: claim\n", "noun: [a]\n", 3, "noun = ['a']", "valid string"),
        ("Europe/Berlin", "Europe/Berln", 4, "timezone = 'Europe/Berln'", "nearest is Europe/Berlin"),
        ("type: tabular", "type: table", 6, "input.type = 'table'", "must be one of tabular, text, image"),
        ("  id: claim_id", "  idd: claim_id", 7, "input.idd = 'claim_id'", "nearest is id"),
        ("amount: {type: number", "amount: {type: numbr", 10, "input.features.amount.type = 'numbr'", "nearest is number"),
        ("region: {type: category}", "region: {typ: category}", 11, "input.features.region.typ", "nearest is type"),
        ("region: {type: category}", "region: category", 11, "input.features.region = 'category'", "valid dictionary"),
        ("optional: true", "optional: maybe", 12, "input.features.vip.optional = 'maybe'", "valid boolean"),
        ("was: text", "was: amount", 5, "input", "was amount, which is a feature still"),
        ("opened: {type: date}", "opened: {type: image}", 5, "input", "none of type image"),
        ("claim_page: {type: link}", "claim_page: {type: url}", 16, "input.show.claim_page.type = 'url'", "must be one of"),
        ("claim_page: {type: link}", "amount: {type: link}", 5, "input", "features and show both name amount"),
        ("many: true", "mani: true", 17, "input.show.photos.mani = True", "nearest is many"),
        ("groups: [sex, age_band]", "groups: sex", 18, "input.groups = 'sex'", "valid tuple"),
        ("key: d", "key: x", 20, "labels.deny.key = 'x'", "the desk uses"),
        ("key: d", "key: de", 20, "labels.deny.key = 'de'", "one character"),
        ("key: d", "key: y", 1, "labels share the key y", "give each its own"),
        ("title: Deny", "ttle: Deny", 20, "labels.deny.ttle = 'Deny'", "nearest is title"),
        ("skip: [conflict]", "skp: [conflict]", 21, "reasons.skp", "reject, correct"),
        ("skip: [conflict]", "skip: conflict", 21, "reasons.skip = 'conflict'", "valid tuple"),
        ("registry:claims@champion", "registry:claims", 22, "model.uri = 'registry:claims'", "registry:NAME@ALIAS"),
        ("trainer: auto", "trainer: xgboost", 22, "model.trainer = 'xgboost'", "must be one of auto, torch-mlp"),
        ("policy: policy.yaml", "policy: 3", 23, "policy = 3", "valid string"),
    ],
)
def test_every_key_of_the_project_is_checked(old: str, new: str, line: int, key: str, words: str) -> None:
    found = problems(changed(PROJECT, old, new), project)
    assert any(each.startswith(f"project.yaml:{line}: {key}") and re.search(words, each) for each in found), found


def test_all_problems_are_told_at_once() -> None:
    text = changed(changed(POLICY, "lease: 10m", "lease: long"), "rate: 0.05", "rat: 1") + "extra: 1\n"
    assert [each.split(" ")[0] for each in problems(text)] == ["policy.yaml:7:", "policy.yaml:10:", "policy.yaml:19:"]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("{deny: never}", "{denny: never}", 5, "automate.per_label.denny: the project has no such label; nearest is deny"),
        ("{pay: 1, deny: 5}", "{pay: 1, refuse: 5}", 18, "costs.error.refuse: the project has no such label; known: deny, pay"),
        ('"amount > 50000"', '"amout > 50000"', 6, "automate.never.0 = 'amout > 50000': knows no 'amout'; nearest is amount"),
        ('"region is missing"', '"amount == high"', 6, "automate.never.1 = 'amount == high': compares amount, a number"),
        ('"region is missing"', '"claim_page is missing"', 6, "knows no 'claim_page'"),
    ],
)
def test_a_policy_must_fit_its_project(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    (tmp_path / "policy.yaml").write_text(changed(POLICY, old, new))
    with pytest.raises(FileError, match=re.escape(words)) as caught:
        read_policy(tmp_path / "policy.yaml", project(PROJECT))
    assert [problem.line for problem in caught.value.problems] == [line]


class TestYaml:
    """What stands in the file is what is meant."""

    BASE = "project: p\ninput: {type: text}\nmodel: {uri: x}\n"

    @pytest.mark.parametrize(
        ("labels", "read"),
        [
            ("[yes, no, on, off, y, n]", ["yes", "no", "on", "off", "y", "n"]),
            ("{no: {key: n}, off: {key: o}}", ["no", "off"]),
            ("[true, false]", ["true", "false"]),
            ("[True, FALSE]", ["True", "FALSE"]),
            ("[1, 2]", ["1", "2"]),
            ("{1: {title: One}, 2:}", ["1", "2"]),
            ("[01, 02, 08, 1_000, 0x1F, 1:30]", ["01", "02", "08", "1_000", "0x1F", "1:30"]),
            ("[2026-11-24, b]", ["2026-11-24", "b"]),
            ("['1.10', \"null\"]", ["1.10", "null"]),
            ("[ä, 日本]", ["ä", "日本"]),
        ],
    )
    def test_labels_are_read_as_written(self, labels: str, read: list[str]) -> None:
        assert list(project(self.BASE + f"labels: {labels}\n").labels) == read

    @pytest.mark.parametrize("labels", ["[1.10, 2]", "[null, a]", "['', a]", "[[a], b]", "[a, a]", "[1, '1']", "[a]", "a", "[]"])
    def test_what_is_no_label_is_refused(self, labels: str) -> None:
        assert problems(self.BASE + f"labels: {labels}\n", project)[0].startswith("project.yaml:4: labels")

    def test_numbers_of_the_policy_may_be_written_as_people_do(self) -> None:
        read = policy("autonomy: set\nautomate: {at_least: 9.5e-1, per_label: {1: .5, no: 1}}\ncosts: {error: {1: 3}}\n")
        assert read.automate.at_least == 0.95
        assert read.automate.per_label == {"1": 0.5, "no": 1.0}
        assert read.costs.error == {"1": 3.0}

    @pytest.mark.parametrize(
        ("text", "line", "words"),
        [
            ("autonomy: set\nautonomy: earned\n", 2, "autonomy: stands twice"),
            ("a:\n  b: 1\n  b: 2\n", 3, "a.b: stands twice"),
            ("1: a\n'1': b\n", 2, "stands twice"),
            ("a: [1\n", 2, "is not YAML"),
            ("a: 1\n\tb: 2\n", 2, "is not YAML"),
            ("a: 1\n---\nb: 2\n", 2, "is not YAML"),
            ("a: !!python/object/apply:os.system [true]\n", 1, "is not YAML"),
            ("a: 1\nb: \x07\n", 2, "is not YAML: special characters"),
            ("a: \x00\n", 1, "special characters"),
            ("a: &a [*a]\n", 1, "nested too deeply"),
            ("a: &a {b: *a}\n", 1, "nested too deeply"),
            ("? [a, b]\n: 1\n", 1, "is not YAML"),
        ],
    )
    def test_what_is_no_such_file_names_the_line(self, text: str, line: int, words: str) -> None:
        with pytest.raises(FileError, match=words) as caught:
            parse_yaml(text, "f.yaml")
        assert caught.value.problems[0].line == line

    @pytest.mark.parametrize("text", ["- a\n- b\n", "hello\n", "3\n"])
    def test_a_list_is_no_mapping(self, text: str) -> None:
        assert problems(text) == ["policy.yaml:1: must be a mapping of keys to values"]

    @pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n"])
    def test_an_empty_file_lacks_what_is_required(self, text: str) -> None:
        assert [each.split(": ", 1)[1] for each in problems(text)] == ["autonomy: field required"]

    def test_files_that_are_missing_or_not_utf8(self, tmp_path: Path) -> None:
        (tmp_path / "latin.yaml").write_bytes("title: Größe".encode("latin-1"))
        with pytest.raises(FileError, match=r"is not UTF-8 .byte 9"):
            read_yaml(tmp_path / "latin.yaml")
        with pytest.raises(FileError, match="cannot be read: No such file"):
            read_yaml(tmp_path / "none.yaml")
        with pytest.raises(FileError, match="cannot be read"):
            read_yaml(tmp_path)

    def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(self, tmp_path: Path) -> None:
        (tmp_path / "p.yaml").write_bytes(b"\xef\xbb\xbf" + POLICY.replace("\n", "\r\n").encode())
        assert validate(Policy, read_yaml(tmp_path / "p.yaml")) == policy(POLICY)

    def test_aliases_and_merges_serve(self) -> None:
        text = "x: &d {rate: 0.1}\nautonomy: set\naudit: {<<: *d, due: 2d}\n"
        document = parse_yaml(text, "f")
        assert document.data["audit"] == {"rate": 0.1, "due": "2d"}


def test_a_problem_points_to_the_deepest_known_place() -> None:
    document = Document("f", {}, {("a",): 3, ("a", "b"): 4})
    assert document.problem(("a", "b", "c"), "no").line == 4
    assert document.problem(("a", "x"), "no").line == 3
    assert document.problem(("z",), "no").line == 1


def test_long_values_are_cut() -> None:
    assert len(problems(changed(POLICY, "lease: 10m", f"lease: {'x' * 500}"))[0]) < 250


def test_the_nearest_word_or_all_of_them() -> None:
    assert nearest("amout", ["amount", "region"]) == "; nearest is amount"
    assert nearest("zzz", ["amount", "region"]) == "; known: amount, region"
    assert nearest("zzz", []) == ""


class TestProject:
    """What the models derive."""

    def test_text_and_image_projects_need_no_features(self) -> None:
        for kind in ("text", "image"):
            read = project(f"project: p\ninput: {{type: {kind}}}\nmodel: {{uri: x}}\nlabels: [a, b]\n")
            assert {name: f.type for name, f in read.input.features.items()} == {kind: kind}

    @pytest.mark.parametrize(
        "features", ["{}", "{a: {type: image}}", "{a: {type: text}, b: {type: text}}"], ids=["none", "image", "two"]
    )
    def test_features_must_suit_the_type(self, features: str) -> None:
        kind = "text" if "b:" in features else "tabular"
        text = f"project: p\ninput: {{type: {kind}, features: {features}}}\nmodel: {{uri: x}}\nlabels: [a, b]\n"
        assert "feature" in problems(text, project)[0]

    def test_keys_by_which_labels_answer(self) -> None:
        base = "project: p\ninput: {type: text}\nmodel: {uri: x}\n"
        assert project(base + "labels: [0, 1]\n").label_keys() == {"0": "0", "1": "1"}
        assert project(base + "labels: [ham, spam]\n").label_keys() == {"ham": "1", "spam": "2"}
        many = project(base + f"labels: [{', '.join(f'label{n}' for n in range(12))}]\n").label_keys()
        assert list(many.values()) == [str(n) for n in range(1, 10)]

    @pytest.mark.parametrize("key", sorted(DESK_KEYS))
    def test_keys_of_the_desk_are_refused_in_both_cases(self, key: str) -> None:
        for each in {key, key.upper()}:
            text = f"project: p\ninput: {{type: text}}\nmodel: {{uri: x}}\nlabels: {{a: {{key: '{each}'}}, b:}}\n"
            assert "the desk uses" in problems(text, project)[0]

    def test_no_two_labels_share_a_key(self) -> None:
        base = "project: p\ninput: {type: text}\nmodel: {uri: x}\n"
        for labels in ("{ham: {key: '2'}, spam:}", "{ham:, spam: {key: '1'}}", "{a: {key: z}, b:, '3':}"):
            keys = list(project(base + f"labels: {labels}\n").label_keys().values())
            assert len(keys) == len(set(keys)), labels

    def test_an_id_is_no_feature_and_reasons_have_keys(self, tmp_path: Path) -> None:
        path = tmp_path / "project.yaml"
        path.write_text(changed(changed(PROJECT, "id: claim_id", "id: amount"), "[conflict]", str(list("abcdefghij"))))
        with pytest.raises(FileError) as caught:
            read_project(path)
        assert [(p.key, p.line) for p in caught.value.problems] == [("input.id", 7), ("reasons.skip", 21)]


class TestSchemas:
    """The published JSON Schemas take what the models take."""

    PROJECTS = (
        PROJECT,
        "project: p\ninput: {type: text}\nmodel: {uri: x}\nlabels: [a, b]\n",
        "project: p\ninput: {type: image}\nmodel: {uri: x}\nlabels: [1, 2]\n",
        "project: p\ninput: {type: text}\nmodel: {uri: x}\nlabels: {a:, b: {key: z}}\n",
    )

    @pytest.mark.parametrize("text", PROJECTS)
    def test_projects(self, text: str) -> None:
        project(text)
        jsonschema.Draft202012Validator(Project.model_json_schema()).validate(parse_yaml(text, "f").data)

    @pytest.mark.parametrize(
        "text", [POLICY, "autonomy: earned\n", "autonomy: set\nautomate: {at_least: off}\nreview: {due: 4h}\n"]
    )
    def test_policies(self, text: str) -> None:
        policy(text)
        jsonschema.Draft202012Validator(Policy.model_json_schema()).validate(parse_yaml(text, "f").data)

    @pytest.mark.parametrize(
        ("model", "text"),
        [
            (Policy, "autonomy: sett"),
            (Policy, "autonomy: set\nx: 1"),
            (Policy, "autonomy: set\nreview: {lease: soon}"),
            (Project, "{}"),
        ],
    )
    def test_they_refuse_what_the_models_refuse(self, model: type[Project] | type[Policy], text: str) -> None:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(model.model_json_schema()).validate(yaml.safe_load(text))
