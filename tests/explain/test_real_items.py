"""Real items of real data sets, with categories, missing values, messages as people type them, and clothes."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from explained_models import Picture, Table, Text, digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from contract.predictors import Column
from explain.catalog import explainers_for

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="no ../shared/data beside the repository")


def test_german_credit_with_missing_values() -> None:
    frame = pd.read_parquet(DATA / "german_credit" / "data.parquet").drop(columns="row_id")
    truth = frame.pop("credit_risk").astype(str)
    columns = tuple(
        Column(name, "number")
        if pd.api.types.is_numeric_dtype(frame[name])
        else Column(name, "category", tuple(sorted(frame[name].dropna().astype(str).unique())))
        for name in frame
    )
    rows = [{name: None if pd.isna(value) else value for name, value in row.items()} for row in frame.to_dict("records")]
    for row in rows[::5]:
        row[columns[1].name] = row[columns[2].name] = None
    forest = RandomForestClassifier(30, min_samples_leaf=5, random_state=0)
    model = Table(columns, lambda encoded: forest.predict_proba(encoded.matrix), tuple(sorted(set(truth))))
    forest.fit(model.encode(rows[50:]).matrix, truth[50:])
    for explainer in explainers_for(model, rows[50:]):
        for row in (rows[0], rows[1]):
            found = explainer.explain(row, label="bad", seed=0)
            assert found.problem is None
            assert [part["feature"] for part in found.contributions] == [column.name for column in columns]
            assert found.contributions[1]["value"] == row[columns[1].name]
            assert sum(abs(part["contribution"]) > 1e-6 for part in found.contributions) > 10


def test_messages() -> None:
    frame = pd.read_parquet(DATA / "sms_spam" / "data.parquet")
    fitted = make_pipeline(TfidfVectorizer(), LogisticRegression(C=50)).fit(frame.text[300:], frame.label[300:])
    model = Text(lambda texts: fitted.predict_proba(list(texts)), tuple(map(str, fitted.classes_)))
    words = dict(zip(fitted[0].get_feature_names_out(), fitted[1].coef_[0], strict=True))
    for explainer in explainers_for(model, []):
        for text in frame.text[:300][frame.label[:300] == "spam"].head(6):
            found = explainer.explain({"text": text}, label="spam", seed=0)
            assert all(text[part["start"] : part["end"]] == part["text"] for part in found.contributions)
            best = max(found.contributions, key=lambda part: part["contribution"])
            assert words.get(best["text"].lower(), 0) > 0


@pytest.mark.benchmark
def test_seconds_for_an_image_of_28_pixels() -> None:
    frame = pd.read_parquet(DATA / "fashion_mnist" / "data.parquet")[:1500]
    decode = digits()[0].decode
    pixels = np.stack([decode(data).ravel() for data in frame.image])
    fitted = LogisticRegression(max_iter=50, tol=0.1).fit(pixels, frame.label)
    model = Picture(lambda images: fitted.predict_proba(images.reshape(len(images), -1)), tuple(map(str, fitted.classes_)))
    explainers = explainers_for(model, [])
    for data in frame.image[:3]:
        begun = time.perf_counter()
        found = [explainer.explain({"image": data}, label=str(fitted.classes_[0]), seed=0) for explainer in explainers]
        print(round(time.perf_counter() - begun, 3), [one.quality for one in found])
        assert not any(one.problem for one in found)
