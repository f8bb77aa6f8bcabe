"""Drawn HTML as data: known tags, text as text, nothing that runs."""

import random

import pytest

from app.ui.deck.trees import TAGS, Node, tree
from app.ui.draw import case as case_html
from app.ui.formats import text
from tests.browser import filling


def words(nodes: list[Node]) -> str:
    return "".join(node if isinstance(node, str) else words(node[2:]) for node in nodes)


def tags(nodes: list[Node]) -> set[str]:
    inner = [node for node in nodes if not isinstance(node, str)]
    return {node[0] for node in inner}.union(*(tags(node[2:]) for node in inner))


def test_a_drawn_case_is_the_same_as_data() -> None:
    project = filling.claims_project()
    given = {"amount": 12.5, "region": "north", "story": filling.NASTY}
    found = tree(case_html.values(project, given))
    assert "table" in tags(found)
    assert filling.NASTY in words(found)
    assert tags(found) <= TAGS


@pytest.mark.parametrize(
    "html",
    [
        "<script>steal()</script>",
        '<img src="https://evil.example/x.png">',
        '<img src="data:text/html,x" onerror="steal()">',
        '<a href="javascript:steal()">x</a>',
        '<a href="data:text/html,x">x</a>',
        '<p onclick="steal()" style="background:url(https://evil.example)">x</p>',
        '<iframe src="https://evil.example">steal</iframe><object data="x">steal</object>',
        '<form action="/x"><input type="password"><button type="submit">x</button></form>',
    ],
)
def test_nothing_that_runs_or_asks_elsewhere_goes_through(html: str) -> None:
    told = str(tree(html))
    for bad in ("steal", "evil", "javascript", "data:text", "onclick", "onerror", "password", "submit", "script", "form"):
        assert bad not in told, told


def test_links_and_pictures_that_a_case_has_go_through() -> None:
    links = '<a href="https://a.example/1?b=c" target="_blank">x</a><a href="find?id=a%3Ab">y</a>'
    html = f'{links}<img src="data:image/png;base64,AA" alt="z">'
    assert [node[1].get("href") or node[1].get("src") for node in tree(html)] == [
        "https://a.example/1?b=c",
        "find?id=a%3Ab",
        "data:image/png;base64,AA",
    ]


def test_whatever_the_text_it_stays_text() -> None:
    rng = random.Random(5)
    for _ in range(300):
        said = "".join(rng.choices("<>&;\"'/=! abc\n\u202e🙂scriptimg", k=40))
        assert tree(f"<p>{text(said)}</p>") == [["p", {}, said]]


def test_what_is_closed_wrongly_does_not_swallow_the_rest() -> None:
    assert tree("<div><p>a</div></b>b") == [["div", {}, ["p", {}, "a"]], "b"]
