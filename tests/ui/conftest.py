"""A workspace of its own for each test of a screen, handed to the pages as the web process does."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.ui import resources
from app.workspace import Workspace
from tests.browser import filling

Screen = Callable[..., AppTest]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    held = filling.workspace(tmp_path / "desk")
    filling.choose(held, "page")
    resources.hand_over(held, local=True)
    resources.forget()
    yield held
    held.database.close()


@pytest.fixture
def screen(workspace: Workspace) -> Screen:
    """Runs one screen by its name, with what the address asks for."""

    def run(name: str, **query: str) -> AppTest:
        def script(name: str) -> None:
            import importlib

            importlib.import_module(f"app.ui.screens.{name}").draw()

        at = AppTest.from_function(script, kwargs={"name": name}, default_timeout=30)
        for key, value in query.items():
            at.query_params[key] = value
        return at.run()

    return run
