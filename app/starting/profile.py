"""What every column of a table is taken for, and why: the shape of a project before its files are written."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from app.loading.columns import VERSION
from app.loading.errors import LoadError
from app.loading.sources import Folder
from app.starting import leaks, looking, targets
from app.starting.looking import Look, as_trained, is_named_id, refused, short, taken_for
from app.starting.reading import Table
from contract.project import InputType
from retrain.rows import TEST_SHARE, split_of

Role = Literal["label", "id", "time", "feature", "show", "group", "probability", "left out"]
_JUDGED = ("number", "category", "boolean", "date")
AS_ASKED = "as asked"
HEAD = ("column", "taken as", "why", "example")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it is for, of which type, and why. `optional`: some rows do not name it."""

    name: str
    role: Role
    type: str | None
    why: str
    example: str
    optional: bool = False
    unique: bool = False

    @property
    def taken_as(self) -> str:
        """For the table: a type where it is a feature, else the role."""
        named = {"feature": self.type or "", "show": f"shown ({self.type})", "probability": "probability"}
        return named.get(self.role, self.role)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person said of the columns; see `profile`."""

    label: str | None = None
    type: str | None = None
    id: str | None = None
    time: str | None = None
    drop: tuple[str, ...] = ()
    show: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    features: tuple[str, ...] | None = None
    probabilities: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    why: str = AS_ASKED


@dataclass(frozen=True, slots=True)
class Profile:
    """The shape of a project: its columns, its labels, and what the person should know.

    `columns`: in the order of the file, before them those of a brought model in its order.

    `of_rows`: the label of each row of the sample, None where it has none; `probabilities`: label to column; `keys`: keys that
    remind of the labels; `titles`: what another column calls them; `said`: sentences for the person; `leaks`: columns that
    give the label away, with their balanced accuracy.
    """

    type: InputType
    columns: tuple[Column, ...]
    label: str | None
    labels: tuple[str, ...]
    of_rows: tuple[str | None, ...]
    time: str | None = None
    groups: tuple[str, ...] = ()
    probabilities: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    leaks: Mapping[str, float] = field(default_factory=dict)
    said: tuple[str, ...] = ()

    def of(self, *roles: Role) -> tuple[Column, ...]:
        """The columns of these roles."""
        return tuple(column for column in self.columns if column.role in roles)

    @property
    def features(self) -> tuple[Column, ...]:
        return self.of("feature")

    @property
    def id(self) -> str | None:
        """The column that names a row; None where the file and the row's number do."""
        return next((column.name for column in self.of("id")), None)

    def table(self) -> list[tuple[str, str, str, str]]:
        """A row for each column, under HEAD."""
        return [(column.name, column.taken_as, column.why, column.example) for column in self.columns]


def profile(
    table: Table,
    *,
    label: str | None = None,
    type: str | None = None,
    id: str | None = None,
    time: str | None = None,
    drop: Sequence[str] = (),
    show: Sequence[str] = (),
    groups: Sequence[str] = (),
    keep: Sequence[str] = (),
    features: Sequence[str] | None = None,
    probabilities: Sequence[str] = (),
    labels: Sequence[str] = (),
    why: str = AS_ASKED,
) -> Profile:
    """What each column of a table is taken for.

    `label`: the column of known answers; `drop`: columns to leave out; `show`: for the person alone; `groups`: for fairness
    figures; `keep`: features whatever the rules say; `features`: the columns that a brought model needs, in its order, and
    then the only ones; `probabilities`: columns that another system computed; `labels`: known where no column holds them;
    `why`: the reason of `keep`, where another than the person's wish.
    Raises LoadError with the mend where a column is not there, no label is named, or nothing is left to learn from.
    """
    label = "label" if label is None and isinstance(table.source, Folder) else label
    wish = Wish(
        label=label,
        type=type,
        id=id,
        time=time,
        drop=tuple(drop),
        show=tuple(show),
        groups=tuple(groups),
        keep=tuple(keep),
        features=tuple(features) if features is not None else None,
        probabilities=tuple(probabilities),
        labels=tuple(labels),
        why=why if features is None else "since the model was fitted on it",
    )
    return _Profiler(table, wish).profile()


@dataclass(frozen=True, slots=True)
class _Make:
    """A Column of what was looked at."""

    look: Look

    def __call__(self, role: Role, kind: str | None, why: str, *, unique: bool = False) -> Column:
        return Column(self.look.name, role, kind, why, self.look.example, self.look.absent, unique)


class _Profiler:
    """Columns into roles: first those that are named, then by what they hold."""

    def __init__(self, table: Table, wish: Wish) -> None:
        self.table, self.wish = table, wish
        self.looks = {name: Look(table, name) for name in table.columns}
        self.said: list[str] = []
        _require(table, wish)

    def profile(self) -> Profile:
        wish = self.wish
        named = [name for name in (wish.id, wish.time, *wish.drop, *wish.show, *wish.groups) if name]
        found = targets.answers(self.table, wish.label, wish.probabilities, named, wish.labels)
        chances, labels = dict[str, str](), list(found.labels)
        if wish.probabilities:
            chances, labels = targets.probabilities(self.table, wish.probabilities, labels, wish.label is not None)
        order = dict.fromkeys((*(wish.features or ()), *self.looks))
        columns = self._with_id([self._column(self.looks[name]) for name in order])
        self._require_no_other_id(columns)
        leaking = self._leaks(columns, found.of_rows)
        names = {c.name: held for c in columns if c.name in leaking and (held := self._titles(c, found))}
        columns = [self._named(c, names) if c.name in names else self._unless_leak(c, leaking) for c in columns]
        columns = self._blind(columns, chances, labels)
        kind, columns = self._typed(columns)
        self._require_features(columns)
        unread = [Column(name, "left out", None, why, "") for name, why in self.table.unread.items()]
        self._tell(found.of_rows)
        return Profile(
            type=kind,
            columns=(*columns, *unread),
            label=wish.label,
            labels=tuple(labels),
            of_rows=found.of_rows,
            time=wish.time,
            groups=wish.groups,
            probabilities=chances,
            keys=targets.keys(labels),
            titles=next(iter(names.values()), {}),
            leaks=leaking,
            said=tuple(self.said),
        )

    # Roles

    def _column(self, look: Look) -> Column:
        """A column by what was said of it, else by what it holds."""
        name, wish = look.name, self.wish
        make = _Make(look)
        if name == wish.label:
            return make("label", None, "the known answer, as named")
        if name in wish.probabilities:
            return make("probability", "number", "computed elsewhere, as named")
        if name == VERSION and wish.probabilities:
            return make("left out", None, "the version that made each prediction")
        if name == wish.id:
            return make("id", None, self._id_named(look))
        if wish.features is not None and name in wish.features:
            return make("feature", *as_trained(look))
        return self._beside(look, make)

    def _beside(self, look: Look, make: "_Make") -> Column:
        """A column that is neither label, probability, id nor what a brought model needs."""
        name, wish = look.name, self.wish
        if name == wish.time and name not in wish.keep:
            return make("time", "date", self._time_named(look))
        if name in wish.drop:
            return make("left out", None, "dropped, as asked")
        if name in wish.show:
            return self._shown(look, make)
        if name in wish.groups and name not in wish.keep:
            return make("group", "category", "for fairness figures, as named; not for the model")
        judged = self._judged(look, make)
        unneeded = wish.features is not None and not judged.unique and judged.role == "feature"
        return make("left out", None, "the model does not need it") if unneeded else judged

    def _judged(self, look: Look, make: "_Make") -> Column:
        """A column by what it holds."""
        kind, why = taken_for(look, kept=look.name in self.wish.keep)
        kept = look.name in self.wish.keep
        if look.all_differ and not kept and (names := _names_rows(look, kind)):
            return make("left out", None, names, unique=True)
        if len(look.name) > looking.LONGEST_NAME or not look.name.isprintable():
            return make("left out", None, f"its name has more than {looking.LONGEST_NAME} characters, or several lines")
        if kind is None:
            return make("left out", None, why)
        return make("show" if kind == "link" else "feature", kind, why)

    def _shown(self, look: Look, make: "_Make") -> Column:
        kind, why = taken_for(look, kept=True)
        if kind is None or (kind != "image" and refused(look, kind)):
            raise LoadError(f"--show {look.name}: cannot be shown: {why}")
        return make("show", kind, f"shown, as asked: {why}")

    def _id_named(self, look: Look) -> str:
        """Raises LoadError where a column does not name each row."""
        where = f"--id {look.name}"
        empty = next((n for n, value in enumerate(look.values) if value is None), None)
        if empty is not None:
            place = self.table.rows[empty].place
            raise LoadError(f"{where}: row {place} has none; name another column, or none: the row's number then names it")
        value, count = look.counts.most_common(1)[0]
        if count > 1:
            places = [found.place for found, each in zip(self.table.rows, look.values, strict=True) if each == value][:2]
            raise LoadError(
                f"{where}: {short(value, 40)!r} stands in rows {places[0]} and {places[1]}, and an id names one row; name "
                f"another column, or none: the row's number then names it"
            )
        if not look.types <= {int, str}:
            raise LoadError(f"{where}: {short(value)} is no id; ids are texts or whole numbers, so name another column")
        return "names the row, as named"

    def _time_named(self, look: Look) -> str:
        """Raises LoadError where a column holds no dates."""
        if bad := refused(look, "date"):
            raise LoadError(f"--time {look.name}: {bad[1]}; write dates as 2026-11-24, in all rows of this column")
        return "when it arose, as named; the newest rows are held out"

    def _with_id(self, columns: list[Column]) -> list[Column]:
        """One of the columns that differ in every row becomes the id, where none is named."""
        candidates = [column for column in columns if column.unique]
        if self.wish.id is not None or not candidates:
            return columns
        best = min(candidates, key=lambda column: self._rank(column.name))
        return [replace(each, role="id", why=f"names the row: {each.why}") if each is best else each for each in columns]

    def _require_no_other_id(self, columns: Sequence[Column]) -> None:
        """Raises LoadError where rows would be named by a column that does not name them."""
        roles = {column.name: column.role for column in columns}
        if "id" not in roles.values() and roles.get("external_id") in ("left out", "group", "time", "label", "probability"):
            raise LoadError(
                f"{self.table.source.path}: a column called external_id names the rows, and this one does not: its values are "
                f"missing or stand twice; mend or rename it, or name another column with --id"
            )

    def _rank(self, name: str) -> tuple[int, int]:
        look = self.looks[name]
        words = looking.tokens(name)
        rank = 0 if words in (["id"], ["external", "id"], ["uuid"]) else 1 if is_named_id(name) else 3 - _counts_rows(look)
        return rank, self.table.columns.index(name)

    # The type of the input

    def _typed(self, columns: list[Column]) -> tuple[InputType, list[Column]]:
        features = [column for column in columns if column.role == "feature"]
        kinds = [column.type for column in features]
        kind = self.wish.type or ("image" if "image" in kinds else "text" if kinds == ["text"] else "tabular")
        if kind == "tabular":
            return "tabular", [self._beside_a_table(column) for column in columns]
        if kind == "text":
            only = self._only_text(features)
            return "text", [self._unless_other(column, only, "text") for column in columns]
        pictures = [column.name for column in features if column.type == "image"]
        if not pictures:
            raise LoadError(f"--type image: {self.table.source.path} has no column of images; give a folder of them, or a table")
        return "image", [self._unless_other(column, pictures[0], "image") for column in columns]

    def _only_text(self, features: Sequence[Column]) -> str:
        texts = [column.name for column in features if column.type == "text"]
        texts = texts or [column.name for column in features if column.type == "category"]
        if not texts:
            raise LoadError(f"--type text: {self.table.source.path} has no column of text; leave --type out")
        return max(texts, key=lambda name: sum(map(len, self.looks[name].present)))

    def _unless_other(self, column: Column, only: str, kind: str) -> Column:
        if column.name == only:
            return replace(column, type=kind)
        why = f"a project of {kind}s has one feature, {only}; --show {column.name} shows it"
        return replace(column, role="left out", type=None, why=why) if column.role == "feature" else column

    def _beside_a_table(self, column: Column) -> Column:
        if column.role == "feature" and column.type == "image":
            return replace(column, role="show", why="images beside a table are shown, not scored")
        return column

    # Leaks

    def _leaks(self, columns: Sequence[Column], of_rows: Sequence[str | None]) -> dict[str, float]:
        """Features and shown columns that give the label away, or the prediction."""
        kinds = {c.name: str(c.type) for c in columns if c.role in ("feature", "show") and c.type in _JUDGED}
        if not kinds or not any(of_rows):
            return {}
        return leaks.leaks(kinds, lambda n: {name: self._read(name, kind, n) for name, kind in kinds.items()}, of_rows)

    def _read(self, name: str, kind: str, row: int) -> Any:
        look = self.looks[name]
        return look.read(kind, look.values[row])

    def _titles(self, column: Column, found: targets.Answers) -> dict[str, str]:
        """What a category calls each label, where labels are numbers and it has one word for each; else nothing."""
        if column.type != "category" or column.role != "feature" or column.name in self.wish.keep:
            return {}
        if self.wish.features is not None or not all(label.lstrip("-").isdecimal() for label in found.labels):
            return {}
        pairs = {(label, value) for label, value in zip(found.of_rows, self.looks[column.name].values, strict=True) if label}
        titles = {label: str(value) for label, value in pairs if value is not None}
        return titles if len(pairs) == len(titles) == len(found.labels) == len(set(titles.values())) else {}

    def _named(self, column: Column, names: Mapping[str, Mapping[str, str]]) -> Column:
        """A column whose words became the titles of the labels; a second one is left out as well."""
        words = ", ".join(f"{label} is {title}" for label, title in list(next(iter(names.values())).items())[:2])
        self.said.append(f"{column.name} calls the labels by name ({words}, …): these became their titles, and it is no feature.")
        return replace(column, role="left out", type=None, why=f"calls {self.wish.label} by name; these are the labels' titles")

    def _unless_leak(self, column: Column, leaking: Mapping[str, float]) -> Column:
        if column.name not in leaking:
            return column
        found = f"alone it gives {leaking[column.name]:.1%} of {self.wish.label} away"
        if column.role == "show":
            self.said.append(f"{column.name} is shown, and may give the answer away to whoever decides ({found}).")
            return column
        if column.name in self.wish.keep or self.wish.features is not None:
            self.said.append(f"{column.name} may be a leak ({found}); it is kept, {self.wish.why}.")
            return replace(column, why=f"{column.why}; kept, though {found}")
        self.said.append(
            f"{column.name} is left out as a likely leak: {found}, so it was probably written down after the answer was known. "
            f"If it is known when a case arrives, keep it with --keep {column.name}."
        )
        return replace(column, role="left out", type=None, why=f"likely leak: {found}")

    def _blind(self, columns: list[Column], chances: Mapping[str, str], labels: Sequence[str]) -> list[Column]:
        """Features that say what the other system predicted are left out: who answers blind would read it there."""
        said = self._leaks(columns, targets.predicted(self.table, chances, labels)) if chances else {}
        return [self._unless_said(column, said) for column in columns]

    def _unless_said(self, column: Column, said: Mapping[str, float]) -> Column:
        if column.name not in said or column.name in self.wish.keep:
            return column
        found = f"alone it gives {said[column.name]:.1%} of the predictions away"
        if column.role == "show":
            self.said.append(f"{column.name} is shown, also to whoever is to answer without the prediction ({found}).")
            return column
        self.said.append(
            f"{column.name} is left out, since who answers blind would see the prediction in it: {found}. "
            f"If it was known before the prediction, keep it with --keep {column.name}."
        )
        return replace(column, role="left out", type=None, why=f"tells the prediction: {found}")

    def _require_features(self, columns: Sequence[Column]) -> None:
        """Raises LoadError where nothing is left for a model, or a person, to decide by."""
        if any(column.role == "feature" for column in columns):
            return
        out = "; ".join(f"{column.name}: {column.why}" for column in columns if column.role == "left out")
        told = f" ({short(out, 400)})" if out else ""
        raise LoadError(f"{self.table.source.path} has no column left to decide by{told}; name one with --keep")

    def _tell(self, of_rows: Sequence[str | None]) -> None:
        lacking = of_rows.count(None) if self.wish.label is not None else 0
        if lacking:
            self.said.append(f"{lacking:,} of {len(of_rows):,} rows have no label; nothing can be learned or measured on them.")
        if self.table.broken_count:
            held = "; ".join(f"{found.place}: {found.problem}" for found in self.table.broken)
            self.said.append(f"{self.table.broken_count:,} rows of the file cannot be read ({held}).")


def _require(table: Table, wish: Wish) -> None:
    """Raises LoadError for a column that is not there, or that is named for two things."""
    single = {"--label": wish.label, "--id": wish.id, "--time": wish.time}
    several = {"--drop": wish.drop, "--show": wish.show, "--groups": wish.groups, "--keep": wish.keep}
    several["--predictions"] = wish.probabilities
    uses: dict[str, str] = {}
    for option, names in [*((option, (name,) if name else ()) for option, name in single.items()), *several.items()]:
        for name in names:
            table.require(name, option)
            if name in uses and {option, uses[name]} != {"--groups", "--keep"}:
                raise LoadError(f"{name} is named by {uses[name]} and by {option}; it can be one of them")
            uses.setdefault(name, option)
    for name in wish.features or ():
        table.require(name, "the model's input")
        if uses.get(name) in ("--label", "--predictions", "--id", "--show"):
            raise LoadError(f"the model needs {name}, which {uses[name]} names for something else")


def _names_rows(look: Look, kind: str | None) -> str | None:
    """Why a column whose values all differ names rows and says nothing of them; None where it measures or tells."""
    if kind in ("text", "date", "link", "image", "boolean") or not look.types <= {int, str}:
        return None
    whole = len(look.numbers) == len(look.counts) and all(each.is_integer() for each in look.numbers.values())
    if look.numbers and not whole and len(look.numbers) == len(look.counts):
        return None
    if whole and _counts_rows(look):
        return "numbers the rows, in order"
    if whole and not is_named_id(look.name) and kind == "number" and not _rises(look):
        return None
    if kind == "category" and look.rows <= looking.FEW and not is_named_id(look.name):
        return None
    return "all values differ" + (", and rise from row to row" if whole and _rises(look) else "")


def _counts_rows(look: Look) -> bool:
    """Whether a column holds the number of the row, from wherever it counts."""
    gaps = {look.numbers.get(value, 0.5) - found.number for value, found in zip(look.values, look.table.rows, strict=True)}
    return len(gaps) == 1 and next(iter(gaps)).is_integer()


def _rises(look: Look) -> bool:
    held = [look.numbers.get(value, 0.0) for value in look.values]
    return held == sorted(held) and len(held) >= 50


# What is held out

HELD_OUT = "\nstart"
"""What sets this choice apart from that of `retrain.rows` for decided items."""


def split(table: Table, profile: Profile, project: str, share: float = TEST_SHARE) -> Iterator[bool]:
    """For each row of the table, whether it is held out.

    With a time the newest rows are, about `share` of them, rows of the same moment together, and those without a time are
    not; else `split_of` holds them out by the id, under another name than the project's: of the rows that arrive most are to
    train once people have decided them. Raises LoadError where all rows are of one moment.
    """
    if profile.time is None:
        source = table.source
        ids = (_id(found.values.get(profile.id)) if profile.id else source.name_of(found) for found in table.rows)
        yield from (split_of(f"{project}{HELD_OUT}", external_id) == "test" for external_id in ids)
        return
    look = Look(table, profile.time)
    moments = [_moment(look.read("date", value)) for value in look.values]
    cut = _cut([moment for moment in moments if moment is not None], share)
    if cut is None:
        raise LoadError(f"--time {profile.time}: all rows are of one moment, so none is newer; leave --time out")
    yield from (moment is not None and moment >= cut for moment in moments)


def _cut(moments: Sequence[float], share: float) -> float | None:
    """The moment from which the share that is held out comes nearest to what is asked, and some rows are older."""
    older = sorted(set(moments))[1:]
    ordered = sorted(moments)
    held = {moment: (len(ordered) - bisect_left(ordered, moment)) / len(ordered) for moment in older}
    return min(older, key=lambda moment: abs(held[moment] - share), default=None)


def _id(value: Any) -> str:
    return value.strip() if isinstance(value, str) else str(value)


def _moment(value: Any) -> float | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
