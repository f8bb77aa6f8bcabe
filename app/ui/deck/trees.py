"""The HTML of the draw modules as data: a list of nodes, each a text or [tag, attributes, child, ...], of known tags alone."""

from html.parser import HTMLParser
from typing import Any, Final

Node = str | list[Any]
TAGS: Final = frozenset(
    [
        "a",
        "b",
        "bdi",
        "br",
        "button",
        "caption",
        "code",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "em",
        "figcaption",
        "figure",
        "h2",
        "h3",
        "h4",
        "hr",
        "i",
        "img",
        "input",
        "kbd",
        "label",
        "li",
        "mark",
        "ol",
        "p",
        "progress",
        "q",
        "s",
        "section",
        "small",
        "span",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "time",
        "tr",
        "u",
        "ul",
        "wbr",
    ]
)
VOID: Final = frozenset({"br", "hr", "img", "input", "wbr"})
ATTRIBUTES: Final = frozenset(
    [
        "alt",
        "class",
        "colspan",
        "datetime",
        "dir",
        "disabled",
        "download",
        "height",
        "hidden",
        "href",
        "id",
        "lang",
        "max",
        "min",
        "name",
        "open",
        "placeholder",
        "rel",
        "role",
        "rowspan",
        "scope",
        "src",
        "start",
        "style",
        "tabindex",
        "target",
        "title",
        "type",
        "value",
        "width",
    ]
)
INPUTS: Final = frozenset({"search", "checkbox", "range"})
SKIPPED: Final = frozenset({"script", "style", "template", "iframe", "object"})
"""Tags that go with all that is in them."""


def tree(html: str) -> list[Node]:
    """What may be shown of it. Anything but known tags and attributes is left out; text stays, as text."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.whole


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.whole: list[Node] = []
        self.open: list[tuple[str, list[Any]]] = []
        self.skipping: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in SKIPPED:
            self.skipping.append(tag)
        if self.skipping or tag not in TAGS:
            return
        node: list[Any] = [tag, _kept(tag, attrs)]
        self._here().append(node)
        if tag not in VOID:
            self.open.append((tag, node))

    def handle_endtag(self, tag: str) -> None:
        if self.skipping:
            if tag == self.skipping[-1]:
                self.skipping.pop()
            return
        if any(held == tag for held, _ in self.open):
            while self.open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not self.skipping:
            self._here().append(data)

    def _here(self) -> list[Any]:
        return self.open[-1][1] if self.open else self.whole


def _kept(tag: str, attrs: list[tuple[str, str | None]]) -> dict[str, str]:
    return {name: value or "" for name, value in attrs if _harmless(tag, name, value or "")}


def _harmless(tag: str, name: str, value: str) -> bool:
    if name in ("href", "src"):
        return _leads_somewhere(tag, name, value)
    if name == "style":
        return "url(" not in value.lower() and "expression" not in value.lower()
    if name == "type":
        return value == "button" if tag == "button" else value in INPUTS
    return name in ATTRIBUTES or name.startswith(("aria-", "data-"))


def _leads_somewhere(tag: str, name: str, value: str) -> bool:
    """A picture in the page; a link within this site or to another by HTTP."""
    if name == "src":
        return tag == "img" and value.startswith("data:image/")
    outside = value.lower().startswith(("http://", "https://"))
    return tag == "a" and (outside or ":" not in value.split("/")[0].split("?")[0])
