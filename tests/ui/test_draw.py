"""What is drawn of a case: everything escaped, signs that read without colour, nothing lost."""

import io
import itertools
import random
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.ui import answers, formats, keys
from app.ui.draw import bars, desk, figures, marks, pictures, prediction
from app.ui.draw import case as case_html
from app.ui.draw import reasons as reasons_html
from contract.project import Project
from retrain.alone import Alone, alone
from review_queue.cases import Predicted
from review_queue.explanations import Reason
from tests import factories
from tests.browser import filling

NASTY = [
    "<script>x</script>",
    '"><img src=x onerror=y>',
    "'single' & \"double\"",
    "**b** [a](b)",
    "שלום עולם",
    "🙂\u202e",
    "</div><style>",
]


def huge() -> bytes:
    """A PNG of 60 megapixels in a few kilobytes."""
    file = io.BytesIO()
    Image.new("1", (10_000, 6_000)).save(file, "PNG")
    return file.getvalue()


def reason(body: dict[str, Any], label: str = "pay") -> Reason:
    return Reason(1, "hash", body["method"], label, body)


def tags(html: str) -> set[str]:
    return set(re.findall(r"<\s*([a-zA-Z0-9]+)", html))


@pytest.mark.parametrize("text", NASTY)
def test_contents_of_a_case_are_never_markup(text: str) -> None:
    project = Project.model_validate(
        {
            "project": "p",
            "input": {
                "type": "tabular",
                "features": {"a": {"type": "text", "title": text}},
                "show": {"s": {"type": "text", "many": True}, "l": {"type": "link"}},
            },
            "labels": ["x", "y"],
            "model": {"uri": "registry:p@champion"},
        }
    )
    shown = case_html.shown(project, {"s": [text], "l": text}, lambda sha: None, 1)
    drawn = case_html.values(project, {"a": text * 40}) + shown + case_html.passage(text)
    found = {
        "method": "lime.text",
        "unit": "probability",
        "contributions": [{"start": 0, "end": len(text), "text": text, "contribution": 1.0}],
    }
    drawn += marks.words(text, [reason(found)]) + reasons_html.small_print([reason({**found, "problem": text})], str)
    assert tags(drawn) <= {
        "table",
        "tbody",
        "tr",
        "th",
        "td",
        "bdi",
        "details",
        "summary",
        "div",
        "section",
        "h3",
        "mark",
        "sup",
        "p",
        "b",
        "span",
        "small",
    }


def test_only_web_addresses_become_links() -> None:
    assert "<a" not in case_html.link("javascript:alert(1)")
    assert 'rel="noopener noreferrer nofollow"' in case_html.link("https://a.example/?q=<b>")


def test_text_for_buttons_shows_exactly_itself() -> None:
    assert formats.plain("a*b [x](y) :red[z] $1$\n# h") == r"a\*b \[x\]\(y\) \:red\[z\] \$1\$ \# h"
    assert formats.plain("- M-10_b _x_ a--b ->") == r"\- M-10_b \_x\_ a\-\-b \-\>"


@pytest.mark.parametrize(
    ("share", "said"), [(0.642, "64 %"), (1.0, "100 %"), (0.0, "0 %"), (0.9999, "> 99 %"), (0.0001, "< 1 %"), (None, "–")]
)
def test_a_percentage_never_rounds_to_certainty(share: float | None, said: str) -> None:
    assert formats.percent(share) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(1234567, "1\u202f234\u202f567"), (0.00012, "0.00012"), (12.5, "12.5"), (True, "yes"), (None, "not given")],
)
def test_values_read_as_people_write_them(value: Any, said: str) -> None:
    assert formats.value(value) == said


def test_the_sentence_names_the_label_and_the_next() -> None:
    said = Predicted("7", 0.64, {"7": 0.64, "1": 0.22, "2": 0.14}, "1", "")
    assert prediction.sentence(said, lambda label: f"digit {label}") == "digit 7, about 2 in 3; next digit 1, about 1 in 5"
    assert (
        prediction.sentence(Predicted(None, None, {}, "1", "not scored: the model failed"), str) == "Not scored: the model failed"
    )


def test_bars_stand_strongest_first_and_the_rest_folds() -> None:
    project, rng = filling.claims_project(), random.Random(3)
    given = {name: 1.0 for name in project.input.features}
    parts = [{"feature": name, "value": 1, "contribution": rng.gauss(0, 1)} for name in project.input.features]
    body = {"method": "shap.permutation", "unit": "log-odds", "base": 0.1, "contributions": parts}
    drawn = bars.table(project, given, [reason(body)])
    strongest = max(parts, key=lambda part: abs(part["contribution"]))["feature"]
    assert drawn.index(formats.text(project.input.features[strongest].title)) < drawn.index(
        "so-row", drawn.index("so-bars") + 400
    )
    assert f"{len(parts) - bars.TOP} weaker features" in drawn
    assert "−" in drawn
    assert "+" in drawn


def test_words_keep_the_whole_text_in_order() -> None:
    line = "call now <b>free</b> prize"
    body = {
        "method": "lime.text",
        "unit": "probability",
        "contributions": [
            {"start": 5, "end": 8, "text": "now", "contribution": -0.4},
            {"start": 0, "end": 4, "text": "call", "contribution": 0.2},
        ],
    }
    drawn = marks.words(line, [reason(body)])
    bare = re.sub(r"<sup[^>]*>.</sup>|<h3>.*?</h3>|<[^>]+>", "", drawn)
    assert bare == formats.text(line)


def test_an_overlay_covers_the_picture_and_marks_the_strongest() -> None:
    body = filling.segments("lime.image", random.Random(2))["contributions"]
    uri, marks = pictures.overlay(body["segments"], body["weights"])
    assert uri.startswith("data:image/png;base64,")
    assert 0 < len(marks) <= 4
    assert all(0 < left < 1 and 0 < top < 1 for left, top, _ in marks)


def test_what_is_no_picture_is_none_and_a_tiny_one_stays_crisp() -> None:
    assert pictures.prepare(b"<svg onload=alert(1)>") is None
    assert pictures.prepare(filling.drawing(3)[:60]) is None
    assert pictures.prepare(huge()) is None
    held = pictures.prepare(filling.drawing(3))
    assert held is not None
    assert held.tiny
    assert "so-crisp" in case_html.picture(held.uri, "x", pixels=held.tiny)


def test_labels_get_buttons_or_the_most_probable_do() -> None:
    few = filling.digits_project()
    assert [each.key for each in answers.buttons(few, None)] == list("0123456789")
    many = factories.project(labels=[f"class_{n:02}" for n in range(40)])
    chances = {f"class_{n:02}": 1 / (n + 1) for n in range(40)}
    assert len(answers.buttons(many, Predicted("class_00", 0.5, chances, "1", ""))) == answers.PROBABLE


def test_of_many_labels_the_probable_ones_have_the_digits_and_a_blind_case_only_labels_with_keys_of_their_own() -> None:
    labels: dict[str, Any] = {f"class_{n:02}": {} for n in range(77)}
    many = factories.project(labels={**labels, "class_40": {"key": "k"}, "class_41": {"key": "2"}})
    chances = {label: (0.5 if label == "class_40" else 0.3 if label == "class_70" else 0.0025) for label in many.labels}
    shown = answers.buttons(many, Predicted("class_40", 0.5, chances, "1", ""))
    assert [(each.label, each.key) for each in shown[:3]] == [("class_40", "k"), ("class_70", None), ("class_00", "3")]
    assert [each.label for each in answers.unseen(many, shown)] == ["class_41"]
    assert [(each.label, each.key) for each in answers.buttons(many, None)] == [("class_40", "k"), ("class_41", "2")]


def test_a_difference_is_a_picture_and_a_sentence() -> None:
    view = {
        "name": "all",
        "n": 412,
        "champion": 0.896,
        "challenger": 0.91,
        "difference": 0.014,
        "low": -0.002,
        "high": 0.031,
        "note": "<i>",
    }
    drawn = figures.comparison({"champion": 1, "challenger": 2, "views": [view], "verdict": "<b>keep</b>"})
    assert "between −0.2 and +3.1: no difference shown" in drawn
    assert "<i>" not in drawn.replace("<i style", "")
    assert "&lt;b&gt;keep" in drawn


def judged(n: int, *, wrong: float = 0.0) -> Alone:
    """Confidences from 0.6 to 1, the least sure share of them wrong."""
    return alone(np.linspace(0.6, 1, n), np.arange(n) < wrong * n)


def test_what_could_act_alone_is_a_row_for_each_error() -> None:
    rows = figures.alone(judged(1500, wrong=0.2))
    assert [row[0] for row in rows] == ["1 %", "2 %", "5 %", "10 %"]
    _, threshold, share, people, tested = rows[2]
    assert 0.66 < float(threshold) < 0.69
    assert "82 %" in share
    assert "<small>80 to 84 %</small>" in share
    assert 170 < int(people) < 190
    assert re.fullmatch(r"\d+ of \d+ <small>at most [34]\.\d %</small>", tested)
    assert figures.alone(judged(40))[0] == ("1 %", "off", "nothing", "1\u202f000", "–")
    assert figures.alone(alone([0.9], [False], levels=[0.025]))[0][0] == "2.5 %"


def test_the_picture_is_boxes_alone_and_marks_what_is_in_force() -> None:
    found = judged(1500, wrong=0.2)
    drawn = figures.risk(found, 0.7)
    assert tags(drawn) <= {"figure", "figcaption", "div", "i", "b", "s", "u", "small"}
    assert "url(" not in drawn
    assert len(re.findall("<b ", drawn)) == 4
    assert re.search(r'style="left:7[45]\.\d\d%"><small>in force</small>', drawn)
    assert "in force" not in figures.risk(found, None)
    places = [float(each) for each in re.findall(r"([-\d.]+)%", drawn.partition("clip-path")[2])]
    assert all(0 <= each <= 100 for each in places)
    assert "in force" in figures.risk(judged(40), 0.7)


def test_the_names_at_the_side_do_not_touch() -> None:
    for top in (0.012, 0.03, 0.06, 0.12, 0.3, 1.0):
        ticks = figures._ticks(top)
        assert len(ticks) > 1
        assert all(abs(a - b) > figures.APART * top for a, b in itertools.pairwise(ticks))


@pytest.mark.parametrize(
    ("at_least", "said"),
    [
        (None, "In force: nothing acts alone."),
        (0.8, "In force: confidence 0.8 or more. About 50 % of these rows reach it; none of those is wrong."),
        (0.6, "In force: confidence 0.6 or more. About 100 % of these rows reach it; 20.0 % of those are wrong."),
        (1.01, "In force: confidence 1.01 or more, which none of these rows reaches."),
    ],
)
def test_what_is_in_force_is_said_of_the_same_rows(at_least: float | None, said: str) -> None:
    assert figures.in_force(judged(1200, wrong=0.2), at_least) == said


def test_a_version_says_in_its_line_what_could_act() -> None:
    held = {
        "held_out": {"n": 1500, "answered": 1500, "accuracy": 0.8, "log_loss": 0.3},
        "alone": judged(1500, wrong=0.2).as_dict(),
    }
    assert figures.facts(held) == "80.0 % on 1\u202f500 labelled rows · 82 % may act alone at 5 % error"
    assert figures.facts({"accuracy": 0.9, "n_validation": 7}) == "90.0 % right on 7 validation rows"


def test_the_help_names_every_key() -> None:
    project = filling.claims_project()
    drawn = desk.keys_help(project, keys.keymap(project, {}))
    assert all(f"<kbd>{key}</kbd>" in drawn for key in ("a", "x", "m", "s", "e", "u", "?", "d", "i", "y"))
