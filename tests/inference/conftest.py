"""One small trained model of each kind, made once."""

from collections.abc import Iterator

import pytest
import torch
from threadpoolctl import threadpool_limits

from inference.training import Trained, train
from tests.inference import data

KINDS = ("torch-mlp", "sklearn-hgb", "sklearn-linear", "torch-text", "torch-cnn")


def rows_of(kind: str) -> tuple[data.Project, data.Labelled]:
    if kind == "torch-text":
        return data.messages()
    return data.digits() if kind == "torch-cnn" else data.mixed()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of one process that wait for each other are slow where tests run side by side."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def models() -> dict[str, Trained]:
    trained = {}
    for kind in KINDS:
        project, (rows, labels) = rows_of(kind)
        trained[kind] = train(project, rows[:150], labels[:150], trainer=kind, device="cpu")
    return trained


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def trained(models: dict[str, Trained], kind: str) -> Trained:
    return models[kind]
