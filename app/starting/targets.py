"""The answers that a file holds: its labels, and probabilities that another system computed."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.loading.errors import LoadError
from app.loading.labels import label_in, plain_label
from app.starting.looking import Look, short, tokens
from app.starting.reading import Table
from contract.given import SUM_WITHIN
from contract.inputs import MISSING
from contract.project import DESK_KEYS

MOST_LABELS = 500
MOST_NUMBERS = 50
"""Different numbers above which a column is an amount to predict, no label."""
LONGEST = 200
"""Characters of a label."""
_LIKELY = {"label", "target", "y", "class", "outcome", "result", "category", "income", "churn", "fraud", "default", "spam"}
_LIKELY |= {"response", "approved", "decision", "status", "sentiment", "intent", "subscribed", "risk", "is"}
_CALLED = ("p", "pr", "prob", "proba", "probability", "pred", "prediction", "score", "predicted")


@dataclass(frozen=True, slots=True)
class Answers:
    """The labels of a file, in order, and the label of each row (None where it has none)."""

    labels: tuple[str, ...]
    of_rows: tuple[str | None, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each label."""
        counts = Counter(self.of_rows)
        return {label: counts[label] for label in self.labels}


def answers(
    table: Table, label: str | None, probabilities: Sequence[str], taken: Sequence[str], named: Sequence[str] = ()
) -> Answers:
    """The labels of a table. Raises LoadError where no column is named, or it holds no labels.

    `taken`: columns that have another use and are not proposed; `named`: labels that are known where no column holds them.
    """
    if label is None and not probabilities and not named:
        raise LoadError(_which(table, taken))
    if label is None:
        return Answers(tuple(named or _named_by(probabilities)), (None,) * len(table.rows))
    of_rows = tuple(_label(value) for value in table.values(label))
    labels = _ordered({each for each in of_rows if each is not None})
    _require_labels(table, label, labels, {_label(value): value for value in table.values(label)})
    return Answers(labels, of_rows)


def _label(value: Any) -> str | None:
    return plain_label(label_in(value)) or None


def _ordered(labels: set[str]) -> tuple[str, ...]:
    """Numbers by size, then texts by their letters."""
    numbers = {label: float(label) for label in labels if re.fullmatch(r"-?\d+(?:\.\d+)?", label)}
    return tuple(sorted(labels, key=lambda label: (label not in numbers, numbers.get(label, 0.0), label)))


def _require_labels(table: Table, column: str, labels: Sequence[str], found: Mapping[str | None, Any]) -> None:
    """Raises LoadError where these are no labels to decide between."""
    where = f"--label {column}"
    numbers = [label for label in labels if re.fullmatch(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", label)]
    fractions = [label for label in numbers if "." in label or "e" in label.lower()]
    if not labels:
        raise LoadError(f"{where}: no row of {table.source.path} has a label there; name another column")
    if len(labels) == 1:
        raise LoadError(f"{where}: every row is labelled {labels[0]!r}; a decision needs at least two labels")
    if len(numbers) == len(labels) and (len(labels) > MOST_NUMBERS or len(fractions) > 20):
        raise LoadError(
            f"{where}: holds {len(labels):,} different numbers, such as {labels[0]} and {labels[-1]}: an amount, and Signoff "
            f"decides between labels; cut it into classes in a column of its own, e.g. low, middle, high"
        )
    if len(labels) > MOST_LABELS:
        raise LoadError(
            f"{where}: holds {len(labels):,} different labels, such as {short(labels[0])!r}; at most {MOST_LABELS} are taken, "
            f"so name another column, or join the rare ones"
        )
    if long := next((label for label in labels if len(label) > LONGEST or not label.isprintable()), None):
        raise LoadError(f"{where}: {short(long, 40)!r} is no label: longer than {LONGEST} characters or of several lines")


def _which(table: Table, taken: Sequence[str]) -> str:
    """Asks for the label, and names what may be it."""
    likely = []
    for place, name in enumerate(table.columns):
        distinct = {each for each in map(_label, table.values(name)) if each is not None} if name not in taken else set()
        if 2 <= len(distinct) <= MOST_NUMBERS and all(len(each) <= 60 for each in distinct):
            called = bool(set(tokens(name)) & _LIKELY)
            likely.append((not called, len(distinct), -place, f"{name} ({len(distinct)} values)"))
    named = ", ".join(text for *_, text in sorted(likely)[:5])
    proposed = f"; likely: {named}" if named else ""
    return (
        f"which column of {table.source.path} holds the known answers? Name it with --label{proposed}. Where another system "
        f"has computed probabilities, name their columns with --predictions"
    )


# Probabilities


def probabilities(table: Table, columns: Sequence[str], labels: Sequence[str], known: bool) -> tuple[dict[str, str], list[str]]:
    """Which column holds the probability of which label, matched by name, and every label of the project.

    `known`: the labels stand in a column; else they are the names of these columns. Raises LoadError where a name fits no
    label, a label has no column (one of two may lack it), or the numbers are no probabilities.
    """
    if not known and len(columns) < 2:
        raise LoadError(
            f"--predictions {columns[0]}: one column says of no second label what it is called; name the column of known answers "
            f"with --label, or bring a column for each label"
        )
    matched = _matched(columns, labels) if known else dict(zip(labels, columns, strict=True))
    every = _ordered({*labels, *matched})
    lacking = [label for label in every if label not in matched]
    if lacking and not (len(every) == 2 and len(matched) == 1):
        raise LoadError(
            f"--predictions: no column holds the probability of {', '.join(map(repr, lacking[:5]))}; bring one for each label "
            f"(with two labels, one column will do)"
        )
    _require_probabilities(table, list(matched.values()), whole=not lacking)
    return {label: matched[label] for label in every if label in matched}, list(every)


def predicted(table: Table, chances: Mapping[str, str], labels: Sequence[str]) -> tuple[str | None, ...]:
    """The label that is most probable in each row by these columns (label to column), None where a row has no number."""
    looks = {label: Look(table, column) for label, column in chances.items()}
    return tuple(
        _most_probable({label: look.numbers.get(look.values[n]) for label, look in looks.items()}, labels)
        for n in range(len(table.rows))
    )


def _most_probable(held: Mapping[str, float | None], labels: Sequence[str]) -> str | None:
    known = {label: p for label, p in held.items() if p is not None}
    if not known:
        return None
    rest = (1 - sum(known.values())) if len(known) < len(labels) else 0.0
    return max(labels, key=lambda label: known.get(label, rest))


def _matched(columns: Sequence[str], labels: Sequence[str]) -> dict[str, str]:
    matched: dict[str, str] = {}
    unknown = []
    for column in columns:
        label = next((label for label in labels if _fits(column, label)), None)
        if label is None:
            unknown.append(column)
        elif label in matched:
            raise LoadError(f"--predictions: {matched[label]} and {column} both name the label {label!r}; name one of them")
        else:
            matched[label] = column
    named = _named_by(columns) if unknown and matched else []
    for column, name in zip(columns, named, strict=False):
        if column in unknown and name not in labels:
            matched[name] = column
            unknown.remove(column)
    if unknown:
        held = ", ".join(map(repr, labels[:5]))
        raise LoadError(
            f"--predictions: {', '.join(unknown)} names none of the labels {held}; rename it after its label, e.g. "
            f"p_{labels[0]}, since a position says of no column whose probability it holds"
        )
    return matched


def _fits(column: str, label: str) -> bool:
    """Whether a column is called as a label is, with a word for probability before or behind it."""
    name, wanted = column.strip().lower(), label.lower()
    if name == wanted:
        return True
    called = "|".join(_CALLED)
    inner = re.escape(wanted)
    alike = re.sub(r"\W+", "_", wanted).strip("_")
    forms = {inner, re.escape(alike)} if alike else {inner}
    return any(re.fullmatch(rf"(?:{called})[\W_]*{form}\)?|{form}[\W_]+(?:{called})", name) for form in forms)


def _named_by(columns: Sequence[str]) -> list[str]:
    """The names of columns without what they begin and end with in common, at the bounds of words."""
    before = re.match(r"(?:.*[\W_])?", _common(columns), re.DOTALL)
    start = before.end() if before else 0
    after = re.search(r"(?:[\W_].*)?$", _common([name[start:][::-1] for name in columns])[::-1], re.DOTALL)
    end = len(after[0]) if after else 0
    names = [name[start : len(name) - end].strip() for name in columns]
    if not all(names) or len(set(names)) < len(names):
        raise LoadError(f"--predictions: {', '.join(columns)} name no labels; call them p_LABEL each")
    return names


def _common(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    length = next((n for n, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), min(len(first), len(last)))
    return first[:length]


def _require_probabilities(table: Table, columns: Sequence[str], *, whole: bool) -> None:
    """Raises LoadError naming rows whose numbers are no probabilities; a row may have none at all."""
    looks = [Look(table, name) for name in columns]
    rows = [[look.numbers.get(value) for value in look.values] for look in looks]
    empty = [look.values for look in looks]
    for found, held, values in zip(table.rows, zip(*empty, strict=True), zip(*rows, strict=True), strict=True):
        if all(each is None or (isinstance(each, str) and each.lower() in MISSING) for each in held):
            continue
        where = f"--predictions: row {found.place} of {table.source.path}"
        for name, p in zip(columns, values, strict=True):
            if p is None or not 0 <= p <= 1:
                stands = found.values.get(name)
                percent = "; write percentages as shares, 0.87 for 87 %" if p is not None and 1 < p <= 100 else ""
                raise LoadError(f"{where}: {name} is {stands!r}, which is no probability from 0 to 1{percent or _mend}")
        total = sum(p for p in values if p is not None)
        if whole and abs(total - 1) > SUM_WITHIN:
            raise LoadError(f"{where}: {', '.join(columns[:5])} sum to {total:.4g}, not to 1; name a column for every label")


_mend = "; mend the row or leave it out"


# Keys


def keys(labels: Sequence[str]) -> dict[str, str]:
    """A key that reminds of each label: its first letter, where there are two to nine and every letter is free and its own."""
    if not 2 <= len(labels) <= 9 or all(len(label) == 1 for label in labels):
        return {}
    first = [label[:1].lower() for label in labels]
    free = all(letter.isascii() and letter.isalpha() and letter not in DESK_KEYS for letter in first)
    return dict(zip(labels, first, strict=True)) if free and len(set(first)) == len(first) else {}
