"""Rows with every type of column, and pipelines that were really fitted on them."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from contract.project import Project
from inference.own.engine import Sample
from tests.inference import data

LABELS = ["malignant", "benign"]


@cache
def frame() -> pd.DataFrame:
    """The breast cancer rows as a file holds them: numbers, categories, a text; values missing."""
    rows, labels = data.mixed()[1]
    held = pd.DataFrame(rows)[["radius", "size", "note"]].head(300)
    held["radius"] = held["radius"].astype(float)
    held["cells"] = np.arange(len(held)) % 7
    held["label"] = labels[:300]
    return held


FEATURES = {
    "radius": {"type": "number"},
    "size": {"type": "category", "optional": True},
    "note": {"type": "text"},
    "cells": {"type": "category"},
}


def project(features: dict[str, Any] | None = None, labels: list[str] | None = None) -> Project:
    return data.project("tabular", labels or LABELS, features or FEATURES)


def rows_of(held: pd.DataFrame, features: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """As items are kept: JSON values, categories as texts, dates as ISO text, None where a value is missing."""
    plain = held[list(features)].astype(object).where(held[list(features)].notna(), None)
    return tuple({name: _json(value, features[name]["type"]) for name, value in row.items()} for row in plain.to_dict("records"))


def _json(value: Any, kind: str) -> Any:
    if value is None or value is pd.NaT:
        return None
    if kind == "date":
        return value if isinstance(value, str) else value.isoformat()
    if kind == "category":
        if isinstance(value, (bool, np.bool_)):
            return str(bool(value)).lower()
        return value if isinstance(value, str) else str(int(value))
    return value.item() if hasattr(value, "item") else value


def sample(held: pd.DataFrame | None = None, features: dict[str, Any] | None = None, labels: list[str] | None = None) -> Sample:
    held, features = frame() if held is None else held, features or FEATURES
    return Sample(project(features, labels), rows_of(held, features), {name: str(held[name].dtype) for name in features})


def texts() -> Sample:
    made, (rows, _) = data.messages()
    return Sample(made, tuple(rows))


def prepared(words: Any = None, codes: Any = None, **how: Any) -> ColumnTransformer:
    """Imputers and a scaler, one-hot, and TF-IDF on one column."""
    numbers = Pipeline([("fill", SimpleImputer(add_indicator=True)), ("scale", StandardScaler())])
    coded = make_pipeline(SimpleImputer(strategy="most_frequent"), codes or OneHotEncoder(handle_unknown="ignore"))
    filled = SimpleImputer(strategy="constant", fill_value="")
    text = make_pipeline(filled, FunctionTransformer(np.ravel), words or TfidfVectorizer())
    parts = [("numbers", numbers, ["radius"]), ("codes", coded, ["size"]), ("cells", OneHotEncoder(), ["cells"])]
    return ColumnTransformer([*parts, ("words", text, ["note"])], **how)


@cache
def boosted() -> Pipeline:
    """Imputers, one-hot, TF-IDF on one column, gradient boosting."""
    model = Pipeline([("prepare", prepared()), ("boost", GradientBoostingClassifier(n_estimators=20, random_state=0))])
    return model.fit(frame().drop(columns="label"), frame()["label"])


@cache
def spoken() -> Pipeline:
    """TF-IDF and logistic regression on texts alone."""
    _, (rows, labels) = data.messages()
    return make_pipeline(TfidfVectorizer(), LogisticRegression(C=5)).fit([row["text"] for row in rows], labels)
