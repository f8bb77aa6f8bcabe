"""Small real models on real data, trained once per test session and registered wherever a test needs them."""

import functools
import tempfile
from pathlib import Path
from typing import Any

from sklearn.datasets import load_breast_cancer

from contract.policy import Policy
from contract.project import Project
from db.engine import Database
from inference import store, training
from retrain import datasets, registry
from review_queue import people, projects
from review_queue.activity import Actor
from review_queue.projects import Setting
from tests import factories

LEARN, ASIDE = 60, 40


def diagnosis() -> Project:
    """Five of the thirty measurements are enough to be sure of most and unsure of some."""
    return Project.model_validate(
        {
            "project": "diagnosis",
            "noun": "sample",
            "input": {"type": "tabular", "features": {name: {"type": "number"} for name in names()}},
            "labels": ["malignant", "benign"],
            "model": {"uri": "registry:diagnosis@champion", "trainer": "torch-mlp"},
        }
    )


def names() -> list[str]:
    return [str(name).replace(" ", "_") for name in load_breast_cancer().feature_names[:5]]


@functools.cache
def items() -> tuple[tuple[str, dict[str, Any], str], ...]:
    """(external id, input, label) of every sample."""
    held = load_breast_cancer()
    return tuple(
        (f"s{n:03}", dict(zip(names(), map(float, row[:5]), strict=True)), str(held.target_names[label]))
        for n, (row, label) in enumerate(zip(held.data, held.target, strict=True))
    )


@functools.cache
def trained() -> tuple[bytes, training.Trained]:
    known = items()[:LEARN]
    fit = training.train(diagnosis(), [given for _, given, _ in known], [label for _, _, label in known], device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        store.save(fit, Path(folder))
        return store.pack(Path(folder)), fit


def owner(database: Database) -> Actor:
    return database.write(people.local_actor, "olga", "cli")


def setting(database: Database, policy: Policy | None = None) -> Setting:
    """The project applied, its base rows kept, and the trained model as champion."""
    keys = factories.keys(database)
    wished = policy or factories.policy(automate={"at_least": 0.95}, audit={"rate": 0.2})
    held = database.write(projects.apply, diagnosis(), wished, "", keys.draw_key_id, by=None).setting
    rows = [
        {"external_id": i, "input": given, "label": label, "split": "train" if n < LEARN else "test"}
        for n, (i, given, label) in enumerate(items()[: LEARN + ASIDE])
    ]
    database.write(datasets.add_base, held, rows, by=None)
    archive, fit = trained()
    info = database.write(
        registry.register,
        held.id,
        archive,
        trainer=str(fit.figures["trainer"]),
        labels=fit.predictor.labels,
        schema_hash=store.schema_hash(held.project.input.features),
        figures=fit.figures,
        datasets=[],
        by=None,
    )
    database.write(registry.propose, held.id, info.version, by=owner(database), draw_key_id=keys.draw_key_id)
    return database.read(projects.get, "diagnosis")


def arrive(database: Database, held: Setting, count: int, *, begin: int = LEARN + ASIDE) -> dict[str, str]:
    """Submit items; their true labels by external id."""
    given = items()[begin : begin + count]
    factories.submit(database, held, [{"external_id": i, "input": row} for i, row, _ in given])
    return {i: label for i, _, label in given}
