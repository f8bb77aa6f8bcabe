"""What one column holds, and what it is taken for: only what the loader then accepts."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

from app.loading.items import read_cell
from app.starting.reading import PICTURES, Table
from contract.dates import iso
from contract.inputs import MISSING, InputError, check_input, check_shown
from contract.project import Project

EMPTY = 0.99
"""Share of missing values above which a column is left out."""
CONSTANT = 0.999
"""Share of one value above which a column is left out."""
MANY = 250
"""Categories above which short texts are no category; a model tells no more apart."""
FEW = 10
"""Values that are a category however few the rows."""
WORDS = 3.0
"""Words of an average value from which many different texts are free text."""
LONG = 60
"""Characters of an average value from which they are."""
MOST_BAD = 0.001
"""Share of values that the loader may refuse; above it the column is left out."""
LONGEST_NAME = 200
CODES = {"zip", "zipcode", "postal", "postcode", "plz", "code", "fips", "phone", "tel", "isbn", "ean", "sku", "bic", "iban"}
IDS = {"id", "ids", "uuid", "guid", "key", "pk", "nr", "no", "rowid"}
_ID_ALONE = {"index", "idx", "row", "rownumber", "number", "n", "i"}
_TIMES = {"date", "time", "timestamp", "ts", "at", "on", "day", "created", "updated", "modified", "opened", "closed", "datetime"}
_EPOCH = {10: "seconds since 1970", 13: "milliseconds since 1970"}
_SLASHES = re.compile(r"\d{1,2}/\d{1,2}/\d{2,4}(?:[ T].*)?")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_DIGITS = re.compile(r"[-+]?\d+")


def tokens(name: str) -> list[str]:
    """The words of a column's name, in small letters: `customerId` and `customer_id` are customer, id."""
    return re.findall(r"[a-z]+|\d+|[^\W\d_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower())


def is_named_id(name: str) -> bool:
    words = tokens(name)
    alone = len(words) == 1 and words[0] in _ID_ALONE
    return bool(words) and (alone or words[-1] in IDS or words[0] in ("id", "uuid", "guid", "unnamed"))


def short(value: Any, most: int = 24) -> str:
    """A value in one line, for a table or a sentence."""
    if isinstance(value, (bytes, Mapping)):
        return "(bytes)"
    text = " ".join(str(value).split())
    return text if len(text) <= most else text[: most - 1] + "…"


@dataclass(frozen=True)
class Look:
    """One column of a table, as it is found. `present`: its values but for missing ones; texts of cells stripped."""

    table: Table
    name: str

    @cached_property
    def values(self) -> list[Any]:
        """A value for each row; None where it is missing."""
        return [_value(value) for value in self.table.values(self.name)]

    @cached_property
    def present(self) -> list[Any]:
        return [value for value in self.values if value is not None]

    @cached_property
    def counts(self) -> Counter[Any]:
        """How often each value stands there."""
        return Counter(self.present)

    @cached_property
    def rows(self) -> int:
        return len(self.values)

    @cached_property
    def types(self) -> set[type]:
        return set(map(type, self.present))

    @cached_property
    def solid(self) -> list[Any]:
        """Different values that are not a word for a missing one."""
        return [each for each in self.counts if not isinstance(each, str) or each.lower() not in MISSING]

    @cached_property
    def are_texts(self) -> bool:
        return self.types == {str}

    @cached_property
    def all_differ(self) -> bool:
        """Whether every row has a value of its own."""
        return self.rows > 1 and len(self.counts) == self.rows

    @cached_property
    def absent(self) -> bool:
        """Whether some rows do not even name this column."""
        return any(self.name not in found.values for found in self.table.rows)

    @cached_property
    def numbers(self) -> dict[Any, float]:
        """Of the solid values, those that are numbers to the loader."""
        if self.types & {bytes, dict, bool}:
            return {}
        read = ((each, self.read("number", each)) for each in self.solid)
        return {each: float(number) for each, number in read if isinstance(number, (int, float))}

    @cached_property
    def example(self) -> str:
        return short(next(iter(self.present), ""))

    def read(self, kind: str, value: Any) -> Any:
        """A value as the loader reads it."""
        return read_cell(kind, value, text=self.table.source.text, decimal_comma=self.table.source.decimal_comma)

    def missing_words(self) -> str:
        """What stands for missing values, as a part of a sentence."""
        words = [each for each in self.counts if isinstance(each, str) and each.lower() in MISSING]
        count = sum(self.counts[each] for each in words)
        return f"; {', '.join(map(repr, sorted(words)[:3]))} is missing ({count:,})" if words else ""


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, Mapping):
        return value.get("bytes") if value.get("bytes") is not None else value.get("path")
    return None if value is None or value != value else value


Taken = tuple[str | None, str]
"""A type, None where a column is of no use; and why, in one short phrase."""


def taken_for(look: Look, *, kept: bool = False) -> Taken:
    """What a column is taken for. `kept`: somebody asked for it, so only what cannot be loaded is left out."""
    if not kept and (useless := _useless(look)):
        return None, useless
    kind, why = _kind(look, kept)
    if kind is None or kind == "image":
        return kind, why
    if bad := refused(look, kind):
        count, problem = bad
        if count > MOST_BAD * len(look.present):
            return None, f"{count:,} values cannot be loaded as {kind}: {problem}"
        return kind, f"{why}; {count:,} cannot be loaded"
    return kind, why


def as_trained(look: Look) -> Taken:
    """What a column is taken for that a brought model was trained on: by the dtype that pandas gives it."""
    dtype = look.table.dtypes.get(look.name, "")
    if look.types <= {bytes} and look.present:
        return "image", "images, held as bytes"
    if re.match(r"u?int|float|Int|UInt|Float|decimal", dtype):
        return "number", f"{dtype}, as the model sees it"
    if dtype.lower().startswith("bool") or look.types == {bool}:
        return "boolean", f"{dtype or 'boolean'}, as the model sees it"
    if dtype.startswith("datetime") or (look.types and all(issubclass(each, date) for each in look.types)):
        return "date", "a date, as the model sees it"
    free = look.are_texts and (_is_free_text(look) or max(map(len, look.counts)) > 1_000)
    return ("text", "free text, as the model sees it") if free else ("category", f"{dtype or 'text'}, as the model sees it")


def refused(look: Look, kind: str) -> tuple[int, str] | None:
    """How many values the loader refuses as this type, and the first reason."""
    input_ = {
        "type": "tabular",
        "features": {"x": {"type": kind if kind in _FEATURES else "text"}},
        "show": {"y": {"type": kind}},
    }
    given = {"project": "c", "input": input_, "labels": ["a", "b"], "model": {"uri": "external"}}
    project = Project.model_validate(given)
    problems: dict[Any, str] = {}
    for value in look.counts:
        try:
            read = look.read(kind, value)
            _ = check_input(project, {"x": read}) if kind in _FEATURES else check_shown(project, {"y": read})
        except InputError as error:
            problems[value] = str(error).partition(": ")[2].partition(";")[0]
    return (sum(look.counts[each] for each in problems), next(iter(problems.values()))) if problems else None


_FEATURES = {"number", "category", "boolean", "date", "text"}


def _useless(look: Look) -> str | None:
    """Why a column says nothing: empty, almost empty, constant."""
    missing = look.rows - len(look.present)
    if not look.present:
        return "empty"
    if missing > EMPTY * look.rows:
        return f"almost empty: {missing:,} of {look.rows:,} are missing"
    value, most = look.counts.most_common(1)[0]
    if most == look.rows or (most == len(look.present) and not missing):
        return f"constant: always {short(value)}"
    return f"almost constant: {short(value)} in {most:,} of {look.rows:,}" if most > CONSTANT * look.rows else None


def _kind(look: Look, kept: bool) -> Taken:
    if not look.present:
        return "number", "empty, kept as asked"
    if look.types == {bytes}:
        return ("image", "images, held as bytes") if _are_images(look.present[:5]) else (None, "bytes that are no images")
    if look.types == {bool}:
        return "boolean", "true or false"
    if all(issubclass(each, date) for each in look.types):
        return "date", f"dates {_span(iso_ for each in look.counts if (iso_ := each.isoformat()))}"
    if not look.types <= {str, int, float, bool, Decimal}:
        names = ", ".join(sorted(each.__name__ for each in look.types))
        return None, f"holds values of the type {names}, which cannot be loaded"
    if look.solid and len(look.numbers) == len(look.solid):
        return _number(look, kept)
    return _text(look, kept)


def _number(look: Look, kept: bool) -> Taken:
    """A column in which every value is a number, or a word for a missing one."""
    numbers, distinct = list(look.numbers.values()), len(look.numbers)
    if any(not math.isfinite(each) for each in numbers):
        return None, "holds infinite values; leave these empty to use it"
    whole = all(each.is_integer() for each in numbers)
    if whole and (dated := _dated(look)):
        return dated
    if whole and max(map(abs, numbers)) >= 2**53:
        return _codes(look, kept, "whole numbers too long to be numbers")
    texts = [str(each) for each in look.numbers]
    if whole and any(
        len(text.lstrip("+-")) > 1 and text.lstrip("+-").startswith("0") for text in texts if _DIGITS.fullmatch(text)
    ):
        return _codes(look, kept, "codes with leading zeros")
    words = set(tokens(look.name))
    if whole and is_named_id(look.name) and not kept:
        return _codes(look, kept, "ids by the name")
    if whole and words & CODES and distinct <= MANY and 2 * distinct <= look.rows:
        return "category", f"codes by the name, {distinct:,} values{look.missing_words()}"
    span = f"{'whole numbers' if whole else 'numbers'} {_figure(min(numbers))} to {_figure(max(numbers))}"
    named = "; a code by its name, but with many values" if whole and words & CODES else ""
    return "number", f"{span}{named}{look.missing_words()}"


def _figure(number: float) -> str:
    return f"{number:,.0f}" if number.is_integer() else f"{number:,.4g}" if abs(number) < 10_000 else f"{number:,.0f}"


def _codes(look: Look, kept: bool, what: str) -> Taken:
    distinct = len(look.counts)
    if kept or (distinct <= MANY and 2 * distinct <= look.rows):
        return "category", f"{what}, {distinct:,} values"
    return None, f"{what}, {distinct:,} different: they name, they do not measure"


def _dated(look: Look) -> Taken | None:
    """Dates that are written as whole numbers, where the name says that they are dates."""
    texts = [str(each).removesuffix(".0") for each in look.numbers]
    lengths = set(map(len, texts))
    if not set(tokens(look.name)) & _TIMES or len(lengths) != 1 or not all(text.isdecimal() for text in texts):
        return None
    if any(isinstance(each, float) for each in look.numbers):
        return None
    length = lengths.pop()
    read = [iso(text) for text in texts]
    if length not in (8, *_EPOCH) or any(each is None or not "1900" <= each[:4] <= "2100" for each in read):
        return None
    return "date", _EPOCH.get(length, f"dates such as {texts[0]}")


def _text(look: Look, kept: bool) -> Taken:
    """A column of texts, or of several kinds of values."""
    texts = [str(each) for each in look.counts]
    low = {text.lower() for text in texts}
    if look.are_texts and (low <= {"true", "false"} or low <= {"yes", "no"}):
        return "boolean", " or ".join(sorted(low, reverse=True))
    if look.are_texts and all(text.lower().startswith(("http://", "https://")) for text in texts):
        return "link", "links, for the person to open"
    if look.are_texts and _are_files(look):
        return "image", "paths of images"
    if look.are_texts and look.solid and all(iso(each) for each in look.solid):
        return "date", f"dates {_span(found for each in look.solid if (found := iso(each)))}{look.missing_words()}"
    if all(_SLASHES.fullmatch(text) for text in texts):
        return (
            ("category", "dates in a spelling with two readings, kept as asked")
            if kept
            else (None, f"dates such as {texts[0]} can be read in two ways; write them as 2026-11-24")
        )
    return _words(look, kept)


def _words(look: Look, kept: bool) -> Taken:
    distinct, are_numbers = len(look.counts), len(look.numbers)
    if look.are_texts and _is_free_text(look):
        return "text", f"free text, {_mean_words(look):.0f} words on average"
    few = distinct <= MANY and (2 * distinct <= len(look.present) or distinct <= FEW)
    if few or kept:
        return (
            ("category", f"{distinct:,} values: {_named(look)}")
            if max(map(len, map(str, look.counts))) <= 1_000
            else (
                "text",
                "texts",
            )
        )
    if are_numbers >= 0.9 * len(look.solid):
        odd = next(each for each in look.solid if each not in look.numbers)
        return None, f"numbers but for some, such as {short(odd)!r}; leave these empty to use it"
    if 5 * len(look.present) <= look.rows:
        return None, f"{distinct:,} different short values, in {len(look.present) / look.rows:.0%} of the rows alone"
    return None, f"{distinct:,} different short values: names or codes, which say nothing of new ones"


def _is_free_text(look: Look) -> bool:
    distinct = len(look.counts)
    many = distinct > MANY or 2 * distinct > len(look.present)
    length = sum(len(each) * n for each, n in look.counts.items()) / len(look.present)
    return (many and distinct > 1 and (_mean_words(look) >= WORDS or length >= LONG)) or length > 500


def _mean_words(look: Look) -> float:
    words = sum((len(each.split()) + len(_CJK.findall(each)) / 2) * n for each, n in look.counts.items())
    return float(words / len(look.present))


def _named(look: Look) -> str:
    held = ", ".join(short(value, 14) for value, _ in look.counts.most_common(3))
    return f"{held}, …" if len(look.counts) > 3 else held


def _span(dates: Iterable[str]) -> str:
    held = sorted(each[:10] for each in dates)
    return f"{held[0]} to {held[-1]}"


def _are_files(look: Look) -> bool:
    """Whether these are paths of images that lie beside the file."""
    texts = list(look.counts)
    folder = look.table.source.folder
    return all("." in each and f".{each.rpartition('.')[2].lower()}" in PICTURES for each in texts) and all(
        (folder / each).is_file() for each in texts[:5]
    )


def _are_images(held: Iterable[bytes]) -> bool:
    from inference.images import open_image

    try:
        for data in held:
            open_image(data, near=64)
    except ValueError:
        return False
    return True
