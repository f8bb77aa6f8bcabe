"""Tables of numbers: on the page for whoever reads them rather than pictures, and as a file."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from app.ui import formats
from app.ui.formats import number, percent, text

Cell = str | int | float | date | None
Kind = Literal["text", "count", "share", "number"]
Head = tuple[tuple[str, Kind], ...]
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A text that begins so is run by spreadsheets."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a head; each column has a name and a kind, by which the page writes its numbers. Texts come from data."""

    name: str
    title: str
    head: Head
    rows: tuple[tuple[Cell, ...], ...]

    def html(self) -> str:
        """As a table of the page."""
        titles = "".join(f'<th scope="col">{text(title)}</th>' for title, _ in self.head)
        kinds = [kind for _, kind in self.head]
        body = "".join(f"<tr>{''.join(map(_cell, row, kinds))}</tr>" for row in self.rows)
        return (
            f'<div class="so-scroll" tabindex="0" role="region" aria-label="{text(self.title)}"><table class="so-grid">'
            f"<caption>{text(self.title)}</caption><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def csv(self) -> str:
        """As a file that spreadsheets read: UTF-8, a head, dots in numbers, nothing that is run as a formula."""
        held = io.StringIO()
        writer = csv.writer(held, lineterminator="\r\n")
        writer.writerow([title for title, _ in self.head])
        writer.writerows([_plain(cell) for cell in row] for row in self.rows)
        return held.getvalue()


def _cell(cell: Cell, kind: Kind) -> str:
    shown = written(cell, kind)
    return f"<td>{text(shown)}</td>" if kind == "text" else f'<td class="so-num">{text(shown)}</td>'


def written(cell: Cell, kind: Kind) -> str:
    """A cell in words."""
    if cell is None:
        return "–"
    if isinstance(cell, (int, float)):
        return percent(cell, 1) if kind == "share" else number(round(cell, 3))
    return str(cell)


def _plain(cell: Cell) -> str | int:
    if isinstance(cell, float):
        return f"{cell:.10g}"
    if isinstance(cell, int):
        return cell
    shown = "" if cell is None else str(cell)
    return f"'{shown}" if shown.startswith(FORMULA) else shown


def between(low: float | None, high: float | None, words: Sequence[str] | None = None) -> str:
    """`between 61 % and 67 %`; empty where there is no interval."""
    if low is None or high is None:
        return ""
    a, b = words or (percent(low, 1), percent(high, 1))
    return f"between {a} and {b}"


def of(part: int, whole: int, noun: str) -> str:
    """`12 of 340 claims`."""
    return f"{number(part)} of {formats.count(whole, noun)}"
