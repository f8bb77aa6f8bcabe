"""How the cells of a CSV file are written: what separates and quotes them, and which comma is a decimal one."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, product
from typing import Any

DELIMITERS = {",": ",", ";": ";", "\t": "tabs", "|": "|", ":": ":"}
LINES = 10_000
"""First lines of a file that are looked at."""
_JUDGED = 1_000
"""Of these, by how many a dialect is judged."""
_NAMED = re.compile(r"sep=(.)\r?\n?$", re.IGNORECASE)
_COMMA = re.compile(r"[-+]?(?:[1-9]\d{0,2}(?:\.\d{3})+|\d+),\d+$")
_GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}(?:\.\d{3})+$")
_POINT = re.compile(r"[-+]?\d*\.\d+$")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one file is written. `skip`: lines before the header; `ends`: every row ends in a delimiter with nothing after it."""

    delimiter: str = ","
    quote: str = '"'
    backslash: bool = False
    spaced: bool = False
    decimal_comma: bool = False
    ends: bool = False
    skip: int = 0

    def reader(self, lines: Iterable[str]) -> Any:
        """The rows of these lines, the header among them."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quote,
            escapechar="\\" if self.backslash else None,
            skipinitialspace=self.spaced,
            strict=True,
        )

    def cells(self, row: list[str], width: int | None = None) -> list[str]:
        """A row without what stands after its last delimiter, where nothing does in any; `width`: of the header."""
        surplus = self.ends and row and not row[-1].strip() and (width is None or len(row) > width)
        return row[:-1] if surplus else row

    @property
    def said(self) -> str:
        """What was found, for a person."""
        parts = [f"separated by {DELIMITERS.get(self.delimiter, self.delimiter)}"]
        parts += ["quoted by '"] if self.quote == "'" else []
        parts += ["quotes escaped by backslash"] if self.backslash else []
        parts += ["spaces after it"] if self.spaced else []
        parts += ["decimal comma"] if self.decimal_comma else []
        return ", ".join(parts)


def detect(lines: Sequence[str], known: AbstractSet[str] = frozenset()) -> Dialect:
    """The dialect that reads the most names that are known, then the most rows as wide as their header.

    `lines`: the first ones of the file with their ends. Whether a backslash escapes quotes is judged by all of them.
    """
    skip = next((n for n, line in enumerate(lines) if line.strip()), 0)
    named = _NAMED.match(lines[skip]) if lines else None
    below = lines[skip + bool(named) :]
    held = below[: _JUDGED + 1]
    marks = [named[1]] if named else list(DELIMITERS)
    escapes = (False, True) if any("\\" in line for line in held) else (False,)
    best = max((_candidate(held, *each) for each in product(marks, "\"'", escapes)), key=partial(_score, held, known))
    if any(f"\\{best.quote}" in line for line in below):
        best = max((replace(best, backslash=each) for each in (False, True)), key=partial(_even, below))
    return replace(best, skip=skip + bool(named), decimal_comma=_has_decimal_comma(held, best))


def _candidate(lines: Sequence[str], delimiter: str, quote: str, backslash: bool) -> Dialect:
    plain = Dialect(delimiter, quote, backslash)
    spaced = replace(plain, spaced=delimiter != "\t" and _is_spaced(lines, delimiter))
    rows = [row for row in _rows(lines, spaced) if row]
    return replace(spaced, ends=bool(rows[1:]) and all(not row[-1].strip() for row in rows[1:]) and _may_end(rows))


def _may_end(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the header ends in a delimiter too, or every row is wider than it."""
    return not rows[0][-1].strip() or all(len(row) == len(rows[0]) + 1 for row in rows[1:])


def _is_spaced(lines: Sequence[str], delimiter: str) -> bool:
    marks = sum(line.count(delimiter) for line in lines)
    return marks > 0 and sum(line.count(delimiter + " ") for line in lines) >= 0.9 * marks


def _score(lines: Sequence[str], known: AbstractSet[str], dialect: Dialect) -> tuple[Any, ...]:
    """Higher is likelier; the plainer of equals stands first and wins."""
    rows = [dialect.cells(row) for row in _rows(lines, dialect)]
    rows = [row for row in rows if row]
    names = [name.strip() for name in rows[0]] if rows else []
    even = _evenness(rows)
    sound = len(names) > 1 and even >= 0.5 and len(set(names)) == len(names)
    quoted = 0 if dialect.quote == '"' else 1 if _uses_apostrophes(lines, dialect) else -1
    place = -list(DELIMITERS).index(dialect.delimiter) if sound and dialect.delimiter in DELIMITERS else 0
    return len(known & set(names)), sound, quoted, even, not dialect.spaced, place


def _even(lines: Sequence[str], dialect: Dialect) -> float:
    return _evenness([row for each in _rows(lines, dialect) if (row := dialect.cells(each))])


def _evenness(rows: Sequence[Sequence[str]]) -> float:
    """Share of the rows that are as wide as their header."""
    return sum(len(row) == len(rows[0]) for row in rows[1:]) / max(len(rows) - 1, 1)


def _uses_apostrophes(lines: Sequence[str], dialect: Dialect) -> bool:
    """Whether ' stands around whole cells, each time that a cell begins with it, in one line of two or more."""
    mark = re.escape(dialect.delimiter)
    begun = re.compile(rf"(?:^|{mark}) ?'")
    whole = re.compile(rf"(?:^|{mark}) ?'(?:[^'\\]|''|\\.)*' ?(?={mark}|\r|\n|$)")
    with_any = [line for line in lines if begun.search(line)]
    return 2 * len(with_any) >= max(len(lines), 1) and all(len(begun.findall(w)) <= len(whole.findall(w)) for w in with_any)


def _rows(lines: Sequence[str], dialect: Dialect) -> Iterator[list[str]]:
    """Rows of the first lines; a row that cannot be read stands as one cell."""
    reader = dialect.reader(lines)
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield [""]


def _has_decimal_comma(lines: Sequence[str], dialect: Dialect) -> bool:
    """Whether numbers are written 12,5 or 1.234,56: some are, and none is written 12.5."""
    cells = [cell.strip() for row in islice(_rows(lines, dialect), 1, None) for cell in row]
    return any(map(_COMMA.match, cells)) and not any(_POINT.match(cell) and not _GROUPED.match(cell) for cell in cells)
