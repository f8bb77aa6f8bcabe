"""The files of a project, as a person would have written them: project.yaml, policy.yaml, guidelines.md."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.starting.looking import tokens
from app.starting.profile import Column, Profile
from contract.files import FileError, parse_yaml
from contract.project import EXTERNAL

REMARK = 36
"""Where a comment begins, if there is room before it."""
MOST_NAMED = 12
"""Labels that the guidelines list."""
_GENERIC = {"data", "dataset", "train", "training", "test", "file", "rows", "table", "input", "items", "images", "export"}
_NO_NOUN = {"row", "item", "record", "external", "id", "index", "unnamed", "line", "entry", "obs", "data", "u", "g", "key"}
_NOUNS = {"message", "tweet", "email", "mail", "review", "comment", "question", "ticket", "post", "complaint", "note", "query"}
_NOUNS |= {"photo", "picture", "scan", "frame", "page"}
_NOT_PLURAL = ("ss", "us", "is", "news", "series")


def write(folder: Path, project: str, policy: str, guidelines: str) -> None:
    """The three files into a folder, which is made where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("project.yaml", project), ("policy.yaml", policy), ("guidelines.md", guidelines)):
        (folder / name).write_text(text, encoding="utf-8")


# Names


def project_name(path: Path) -> str:
    """A name for the project out of the file's name, or the folder's where that says nothing."""
    path = path.resolve()
    stems = [path.name if path.is_dir() else path.name.partition(".")[0], path.parent.name]
    names = [name for name in map(plain_name, stems) if name]
    return next((name for name in names if name not in _GENERIC), names[0] if names else "cases")


def plain_name(text: str) -> str:
    """A text as a project may be called; empty where nothing of it is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_]+", "-", plain).lstrip("0123456789_-")[:60].rstrip("_-")


def title_of(name: str) -> str | None:
    """A title out of a column's name: `hours_per_week` is Hours per week; None where the name is one already."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", re.sub(r"[_.\s]+", " ", name)).strip()
    held = " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in words.split())
    title = held[:1].upper() + held[1:]
    return title if title and title != name else None


def noun_of(name: str, profile: Profile) -> str:
    """What screens call an item: after the id (`claim_id`), a project's name in the plural, or what it is."""
    words = tokens(profile.id or "")
    if len(words) > 1 and words[-1] in ("id", "nr", "no", "key") and not set(words[:-1]) & _NO_NOUN:
        return " ".join(words[:-1])
    only = next((word for column in profile.features for word in tokens(column.name) if word in _NOUNS), None)
    if profile.type != "tabular" and only is not None:
        return only
    last = tokens(name)[-1]
    if last.endswith("s") and len(last) > 3 and not last.endswith(_NOT_PLURAL) and profile.type == "tabular":
        return f"{last[:-3]}y" if last.endswith("ies") else last[:-1]
    return {"tabular": "case", "text": "text", "image": "image"}[profile.type]


# YAML


def scalar(value: str) -> str:
    """A text as YAML reads it back, in quotes only where it would be read as something else."""
    if re.fullmatch(r"[^\W\d](?:[\w ./%()+°€-]*[\w)%])?", value) and not _is_special(value):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else _escaped(char) for char in quoted)


def _is_special(value: str) -> bool:
    """Whether our reader, or one of YAML 1.1, takes it for no text."""
    if value.lower() in ("y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"):
        return True
    try:
        return bool(parse_yaml(f"{value}\n", "").data != value)
    except FileError:
        return True


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _flow(parts: Sequence[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{name}: {value}" for name, value in parts) + "}"


def _line(text: str, remark: str) -> str:
    """A line with a comment; where the line is long, the comment stands one blank behind it."""
    return f"{text:<{REMARK - 2}}  # {_one_line(remark)}" if remark else text


def _one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


# project.yaml


def project(profile: Profile, name: str, *, said: str, version: str | None = None, trainer: str = "auto") -> str:
    """project.yaml of a profile. `said`: where it comes from, for the first line; `version`: of predictions made elsewhere."""
    return "\n".join(_project(profile, name, said, version, trainer)) + "\n"


def _project(profile: Profile, name: str, said: str, version: str | None, trainer: str) -> Iterator[str]:
    yield f"# {_one_line(said)}"
    yield f"project: {scalar(name)}"
    yield f"title: {scalar(title_of(name) or name)}"
    yield _line(f"noun: {scalar(noun_of(name, profile))}", "what the screens call an item")
    yield "input:"
    yield _line(f"  type: {profile.type}", _TYPES[profile.type])
    if profile.id is not None:
        yield _line(f"  id: {scalar(profile.id)}", next(column.why for column in profile.of("id")))
    else:
        yield "  # id: no column names the rows, so the file's hash and the row's number do"
    if profile.time is not None:
        yield _line(f"  time: {scalar(profile.time)}", "when it arose; the newest rows were held out")
    yield from _features(profile)
    yield from _beside(profile)
    yield from _labels(profile)
    yield "reasons:"
    yield f"  reject: [no label fits, unusable {'input' if profile.type == 'tabular' else profile.type}]"
    yield "  skip: [not sure, not mine]"
    yield from _model(profile, name, version, trainer)
    yield "policy: policy.yaml"
    yield "guidelines: guidelines.md"


_TYPES = {"tabular": "columns of numbers, categories, dates, texts", "text": "one text per item", "image": "one image per item"}


def _features(profile: Profile) -> Iterator[str]:
    seen = "what the model sees, in order" if profile.type == "tabular" else "what the model sees"
    yield _line("  features:", seen)
    for column in profile.features:
        yield f"    {_entry(column)}"
    out = [column for column in profile.of("left out") if column.name]
    if out:
        yield "    # left out:"
    for column in out:
        yield f"    #   {scalar(column.name)}: {_one_line(column.why)}"


def _entry(column: Column) -> str:
    parts = [("type", str(column.type))]
    if title := title_of(column.name):
        parts.append(("title", scalar(title)))
    if column.optional:
        parts.append(("optional", "true"))
    return f"{scalar(column.name)}: {_flow(parts)}"


def _beside(profile: Profile) -> Iterator[str]:
    shown = profile.of("show")
    if shown:
        yield _line("  show:", "what only the person sees, never scored or explained")
    for column in shown:
        yield f"    {_entry(Column(column.name, 'show', column.type, '', ''))}"
    if profile.groups:
        yield _line(f"  groups: [{', '.join(map(scalar, profile.groups))}]", "for fairness figures")


def _labels(profile: Profile) -> Iterator[str]:
    counts = Counter(label for label in profile.of_rows if label is not None)
    source = _source_of_labels(profile)
    details = {label: _details(profile, label) for label in profile.labels}
    shares = {label: f"{counts[label] / counts.total():.1%}" for label in profile.labels if counts}
    if not any(details.values()):
        told = ", ".join(f"{label} {share}" for label, share in shares.items()) if len(shares) <= MOST_NAMED else ""
        yield _line(f"labels: [{', '.join(map(scalar, profile.labels))}]", f"{source}{f': {told} of the rows' if told else ''}")
        return
    yield _line("labels:", source)
    for label, parts in details.items():
        yield _line(f"  {scalar(label)}: {_flow(parts)}", f"{shares[label]} of the rows" if shares else "")


def _source_of_labels(profile: Profile) -> str:
    if profile.label is not None:
        return f"as they stand in {profile.label}"
    return "as the columns of probabilities are called" if profile.probabilities else "as named when the project was started"


def _details(profile: Profile, label: str) -> list[tuple[str, str]]:
    parts = [("title", scalar(title))] if (title := profile.titles.get(label) or _label_title(label)) else []
    return parts + ([("key", scalar(profile.keys[label]))] if label in profile.keys else [])


def _label_title(label: str) -> str | None:
    return title_of(label) if re.search(r"[_a-z]", label) and re.fullmatch(r"[\w ]+", label) else None


def _model(profile: Profile, name: str, version: str | None, trainer: str) -> Iterator[str]:
    if not profile.probabilities:
        yield f"model: {_flow([('uri', json.dumps(f'registry:{name}@champion')), ('trainer', trainer)])}"
        return
    yield _line("model:", "predictions come with the rows; nothing is trained")
    yield f"  uri: {EXTERNAL}"
    if version is not None:
        yield _line(f"  version: {scalar(version)}", "of predictions that name none")
    yield _line("  probabilities:", "which column holds the probability of which label")
    for label, column in profile.probabilities.items():
        yield f"    {scalar(label)}: {scalar(column)}"


# policy.yaml


def policy(threshold: float | None, max_error: float, said: str) -> str:
    """policy.yaml with a threshold, or `off` where None; `said`: where it comes from, a line or several."""
    remark = "confidence at or above which a prediction acts alone" if threshold is not None else "nothing acts alone so far"
    reasons = [f"  # {_one_line(line)}" for line in said.splitlines() if line.strip()]
    lines = (
        "# What the machine may do alone, and how people check it.",
        _line("autonomy: set", "the threshold acts as written; evidence is gathered and shown"),
        _line("score: max_probability", "the confidence is the highest probability"),
        "automate:",
        *reasons,
        _line(f"  at_least: {'off' if threshold is None else repr(float(threshold))}", remark),
        _line("  strange: 0.01", "what is unlike all that the model learned from goes to people: 1 % of ordinary cases as well"),
        "audit:",
        _line("  rate: 0.05", "this share of what acts alone is checked by a person who does not see the prediction"),
        "  due: 7d",
        "evidence:",
        _line(f"  max_error: {float(max_error)!r}", "the share of errors that is borne in what acts alone"),
        "  confidence: 0.95",
        _line("  signers: 1", "how many people sign a rise of autonomy, or a new champion"),
        "review:",
        _line("  lease: 10m", "how long a case is held without a sign of life"),
        _line("  undo_window: 15s", "an answer can be taken back this long before it leaves the house"),
        _line("  order: expected_loss", "the cases that cost most come first"),
    )
    return "\n".join(lines) + "\n"


# guidelines.md


def guidelines(profile: Profile, name: str) -> str:
    """What a reviewer is told: a draft that says of itself that it is one."""
    noun, external = noun_of(name, profile), bool(profile.probabilities)
    question = f"Decide for each {noun} which of the labels is right"
    column = f" ({_plain(profile.label)} in the file)" if profile.label is not None else ""
    whose = "another system's prediction" if external else "the model's prediction"
    lines = [
        "*This is a draft, written from the names in the file. Replace it by what your reviewers have to know: what each label "
        "means, where its border lies, and examples of hard cases.*",
        "",
        *_choices(profile, f"{question}{column}"),
        "",
        f"Judge by the {noun} itself. You may be shown {whose} and reasons for it: they can be wrong, and that is why you are "
        "asked.",
        "Some cases come without a prediction: they check how often the machine errs, so answer them with the same care.",
        "",
        "- Reject where no label fits or nothing can be made out, and say which.",
        "- Skip where you cannot tell; another person gets it. Escalate what a lead should decide.",
    ]
    return "\n".join(lines) + "\n"


def _choices(profile: Profile, question: str) -> Iterator[str]:
    if len(profile.labels) > MOST_NAMED:
        yield f"{question}. There are {len(profile.labels)}; write down here which of them are easily confused, and what decides."
        return
    yield f"{question}:"
    yield ""
    yield from (f"- **{_plain(label)}**: when to choose it" for label in profile.labels)


def _plain(text: str) -> str:
    """A text in one line that Markdown leaves alone."""
    return re.sub(r"([\\`*_<\[\]])", r"\\\1", " ".join(text.split()))
