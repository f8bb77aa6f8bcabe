"""project.yaml: one decision task - its labels, its input schema, its model, and what the person is told."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from contract.files import FileError, nearest, read_yaml, validate

FeatureType = Literal["number", "category", "boolean", "date", "text", "image"]
ShowType = Literal["number", "category", "boolean", "date", "text", "link", "image", "file"]
InputType = Literal["tabular", "text", "image"]
ReasonVerb = Literal["reject", "correct", "skip"]
Trainer = Literal["auto", "torch-mlp", "sklearn-hgb", "sklearn-linear", "torch-text", "torch-cnn"]

DESK_KEYS = frozenset("axmseu?fpcr")
"""Keys that the desk (a x m s e u ? f p) or Streamlit (c r) uses itself."""
NAME = r"^[a-z][a-z0-9_-]{0,62}$"
EXTERNAL = "external"
"""The uri, and the trainer, of a model that answers elsewhere."""
MAX_VERSION = 100
"""Characters in the name of a model version that answers elsewhere."""
MODEL_URIS = ("registry:NAME@ALIAS", "external", "PATH", "python:FILE.py:FUNCTION", "mlflow:...", "oip:http(s)://...")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Feature(_Part):
    """One column that the model sees. `group`: the heading under which it stands on the page with others."""

    type: FeatureType
    title: str | None = None
    unit: str | None = None
    optional: bool = False
    was: str | None = None
    group: str | None = Field(default=None, min_length=1, max_length=80)

    @model_serializer(mode="wrap")
    def _what_is_said(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without a group where none is said, so that a project that says no more than before keeps its hash."""
        said: dict[str, Any] = whole(self)
        return said if self.group is not None else {name: value for name, value in said.items() if name != "group"}


class Shown(_Part):
    """One field that only the person sees: never scored, never explained."""

    type: ShowType
    title: str | None = None
    unit: str | None = None
    many: bool = False


class Label(_Part):
    """One answer that a person or the model may give."""

    title: str | None = None
    key: str | None = None
    guideline: str | None = None

    @field_validator("key")
    @classmethod
    def _free_key(cls, key: str | None) -> str | None:
        if key is None or (len(key) == 1 and key.isprintable() and key.lower() not in DESK_KEYS):
            return key
        raise ValueError(f"must be one character that is not taken; the desk uses {' '.join(sorted(DESK_KEYS))} itself")


class Input(_Part):
    """What an item consists of, in order."""

    type: InputType
    id: str | None = None
    time: str | None = None
    features: dict[str, Feature] = Field(default_factory=dict)
    show: dict[str, Shown] = Field(default_factory=dict)
    groups: tuple[str, ...] = ()
    subject: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_feature_by_default(cls, data: Any) -> Any:
        kind = data.get("type") if isinstance(data, Mapping) else None
        if kind in ("text", "image") and not data.get("features"):
            return {**data, "features": {kind: {"type": kind}}}
        return data

    @model_validator(mode="after")
    def _features_suit_the_type(self) -> Self:
        kinds = [feature.type for feature in self.features.values()]
        if self.type == "tabular" and (not kinds or "image" in kinds):
            raise ValueError("a tabular input needs at least one feature, and none of type image")
        if self.type != "tabular" and kinds != [self.type]:
            raise ValueError(f"an input of type {self.type} has exactly one feature, of type {self.type}")
        twice = set(self.features) & set(self.show)
        if twice:
            raise ValueError(f"features and show both name {', '.join(sorted(twice))}; keep one of them")
        for name, feature in self.features.items():
            if feature.was in self.features:
                raise ValueError(f"feature {name} was {feature.was}, which is a feature still; rename one of them")
        return self


def label_text(value: Any) -> str:
    """A label as its text; a whole number is a label like any other. Raises ValueError for what is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, str) and value.strip()):
        return str(value)
    raise ValueError(f"{value!r} is no label; write a text, in quotes where YAML would read it as something else")


def version_text(value: Any) -> str:
    """The producer's name of a model version as text. Raises ValueError for what is none."""
    text = str(value).strip() if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if text and text.isprintable() and len(text) <= MAX_VERSION:
        return text
    raise ValueError(f"must be the name of a model version: a text of one line, up to {MAX_VERSION} characters, in quotes")


class ModelChoice(_Part):
    """Where predictions come from, and who trains when asked to.

    `version` and `probabilities` are for predictions that come from elsewhere: the version of those that name none, and
    which column of a file holds the probability of which label.
    """

    uri: str
    trainer: Trainer = "auto"
    version: str | None = None
    probabilities: dict[str, str] | None = None

    @field_validator("uri")
    @classmethod
    def _known_uri(cls, uri: str) -> str:
        if uri.startswith("registry:") and ("@" not in uri or uri.endswith("@")):
            raise ValueError("a registry model is written registry:NAME@ALIAS, e.g. registry:claims@champion")
        if not uri:
            raise ValueError(f"must be one of {', '.join(MODEL_URIS)}")
        return uri

    @field_validator("version", mode="before")
    @classmethod
    def _version_as_text(cls, value: Any) -> str | None:
        return None if value is None else version_text(value)

    @field_validator("probabilities", mode="before")
    @classmethod
    def _column_of_each_label(cls, value: Any) -> Any:
        if value is not None and not (isinstance(value, Mapping) and value):
            raise ValueError("must be {LABEL: COLUMN, ...}; a position says of no column whose probability it holds")
        return None if value is None else {label_text(label): column for label, column in value.items()}

    @field_validator("version", "probabilities")
    @classmethod
    def _external_alone(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and info.data.get("uri", EXTERNAL) != EXTERNAL:
            raise ValueError("is for `uri: external` alone, where predictions come with the items; leave it out")
        return value

    @model_serializer(mode="wrap")
    def _what_is_said(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what is not said, so that a project that says no more than before keeps its hash."""
        return {name: value for name, value in whole(self).items() if value is not None}


class Split(_Part):
    """Which cases judge models and are never learned from, for good. `by`: item, each for itself; subject, all of one person
    together; time, those that arose from the day `start` on. `test`: their share, where time does not say it."""

    by: Literal["item", "subject", "time"] = "item"
    test: Annotated[float, Field(gt=0, lt=1)] = 0.3
    start: date | None = None

    @model_validator(mode="after")
    def _a_day_for_time(self) -> Self:
        if (self.by == "time") != (self.start is not None):
            raise ValueError("`by: time` and `start`, the day from which on cases judge, go together; write both or neither")
        return self


class Truths(_Part):
    """What later proves true. `every_item`: it is seen for all of them, whatever became of them, so that it is evidence."""

    every_item: bool = False


def _label_map(value: Any) -> Any:
    """A plain list of labels as a mapping."""
    if isinstance(value, (list, tuple)):
        if len({label_text(label) for label in value}) != len(value):
            raise ValueError("a label stands twice")
        return {label_text(label): {} for label in value}
    if isinstance(value, Mapping):
        return {label_text(label): details if details is not None else {} for label, details in value.items()}
    return value


_Labels = dict[str, Label | None] | list[str | int | bool]


def _default_reasons() -> dict[ReasonVerb, tuple[str, ...]]:
    return {"reject": ("no label fits", "unusable input"), "correct": (), "skip": ("not sure", "not mine")}


class Project(_Part):
    """One decision task. Its applied versions are kept under their content hash."""

    project: str = Field(pattern=NAME)
    title: str | None = None
    noun: str = "case"
    timezone: str = "UTC"
    input: Input
    labels: Annotated[dict[str, Label], BeforeValidator(_label_map, json_schema_input_type=_Labels)] = Field(min_length=2)
    reasons: dict[ReasonVerb, tuple[str, ...]] = Field(default_factory=_default_reasons)
    model: ModelChoice
    policy: str = "policy.yaml"
    guidelines: str | None = None
    log_openings: bool = False
    split: Split = Split()
    truths: Truths = Truths()

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError("is not a time zone" + nearest(zone, sorted(available_timezones()))[:80])
        return zone

    @model_validator(mode="after")
    def _keys_differ(self) -> Self:
        keys = [label.key for label in self.labels.values() if label.key]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise ValueError(f"labels share the key {', '.join(sorted(twice))}; give each its own")
        return self

    @property
    def heading(self) -> str:
        """What screens call the project."""
        return self.title or self.project

    @property
    def external(self) -> bool:
        """Whether predictions come with the items."""
        return self.model.uri == EXTERNAL

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def title_of(self, label: str) -> str:
        """What screens call a label."""
        known = self.labels.get(label)
        return (known.title if known else None) or label

    def reasons_for(self, verdict: str) -> tuple[str, ...]:
        """What a person may give as the reason of a verdict; empty where none is asked."""
        return next((reasons for verb, reasons in self.reasons.items() if verb == verdict), ())

    def label_keys(self) -> dict[str, str]:
        """The key by which each label answers: its own character, else its `key`, else its position (1 to 9)."""
        own = all(len(label) == 1 and label.lower() not in DESK_KEYS for label in self.labels)
        if own:
            return {label: label for label in self.labels}
        taken = {label.key for label in self.labels.values() if label.key}
        free = [str(n) if str(n) not in taken else None for n in range(1, 10)]
        keys = {
            label: details.key or (free[n] if n < len(free) else None) for n, (label, details) in enumerate(self.labels.items())
        }
        return {label: key for label, key in keys.items() if key}


def read_project(path: Path) -> Project:
    """project.yaml as a Project. Raises FileError."""
    document = read_yaml(path)
    project = validate(Project, document)
    problems = list(_unknown_columns(document, project))
    if problems:
        raise FileError(problems)
    return project


def _unknown_columns(document: Any, project: Project) -> Any:
    taken = set(project.input.features) | set(project.input.show)
    if project.input.id in taken:
        yield document.problem(("input", "id"), "is also a feature or shown; an id is neither", project.input.id)
    yield from _wrong_probabilities(document, project, taken)
    for name in project.reasons:
        if len(project.reasons[name]) > 9:
            yield document.problem(("reasons", name), "has more than nine reasons; each needs a key from 1 to 9")


def _wrong_probabilities(document: Any, project: Project, taken: set[str]) -> Any:
    named = project.model.probabilities or {}
    for label, column in named.items():
        place = ("model", "probabilities", label)
        if label not in project.labels:
            yield document.problem(place, "is no label of the project" + nearest(label, project.labels), column)
        elif column in taken or column == project.input.id:
            yield document.problem(place, "is also a feature, shown, or the id; a person would see the prediction in it", column)
        elif list(named.values()).count(column) > 1:
            yield document.problem(place, "is named for two labels; each has a column of its own", column)
