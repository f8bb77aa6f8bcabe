"""The strange goes to people however sure the model is, where the policy says so; a model that cannot tell keeps nothing back."""

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.settings import Settings
from app.worker.models import Models
from app.worker.scoring import Scoring
from app.workspace import Workspace
from contract.policy import Policy
from db.engine import Database
from db.tables import Draw, ItemKey, Prediction, Routing
from inference import strange
from review_queue.projects import Setting
from tests import factories, real_models

FAR = "far-away"


@pytest.fixture
def workspace(database: Database, tmp_path: Path) -> Workspace:
    settings = Settings(dir=tmp_path, secret_key=factories.SECRET, device="cpu", batch_size=32)
    return Workspace(settings, database, factories.keys(database))


def wished(strange: float | str) -> Policy:
    return factories.policy(automate={"at_least": 0.5, "strange": strange}, audit={"rate": 1.0})


def score(workspace: Workspace, held: Setting, ordinary: strange.Ordinary | None) -> dict[str, tuple[Any, ...]]:
    """Fifty ordinary items and one of ten times the size are scored; route, reason, band and strangeness by external id."""
    models = Models(workspace.database, workspace.settings, "cpu")
    models.ordinary = lambda model_id: ordinary  # type: ignore[method-assign]
    real_models.arrive(workspace.database, held, 50, begin=400)
    large = {name: value * 10 for name, value in real_models.items()[400][1].items()}
    factories.submit(workspace.database, held, [{"external_id": FAR, "input": large}])
    Scoring(workspace, models, threading.Event()).turn()
    query = select(ItemKey.external_id, Routing.route, Routing.reason, Routing.band, Prediction.strangeness)
    query = query.join(Routing, Routing.item_id == ItemKey.item_id).join(Prediction, Prediction.item_id == ItemKey.item_id)
    return {row[0]: tuple(row[1:]) for row in workspace.database.read(lambda s: s.execute(query).all())}


def ordinary() -> strange.Ordinary | None:
    return strange.of_rows(real_models.diagnosis().input.features, [given for _, given, _ in real_models.items()[100:400]])


def test_the_strange_goes_to_people_and_is_no_evidence_of_what_acts(workspace: Workspace) -> None:
    found = score(workspace, real_models.setting(workspace.database, wished(0.02)), ordinary())
    assert found[FAR] == ("review", "unlike anything the model learned from", 0, 0.0)
    others = [each for name, each in found.items() if name != FAR]
    assert all(each[3] is not None for each in others)
    assert sum(each[0] == "auto" for each in others) > 40
    hit = select(ItemKey.external_id).join(Draw, Draw.item_id == ItemKey.item_id).where(Draw.purpose == "evidence")
    assert FAR not in set(workspace.database.read(lambda s: s.scalars(hit).all()))


@pytest.mark.parametrize("policy", ["off", 0.02])
def test_without_being_asked_or_able_it_tells_nothing(workspace: Workspace, policy: float | str) -> None:
    knows = ordinary() if policy == "off" else None
    found = score(workspace, real_models.setting(workspace.database, wished(policy)), knows)
    assert {each[3] for each in found.values()} == {None}
    assert found[FAR][0] == "auto"


def test_what_fails_to_tell_holds_no_item_up_and_lets_none_act(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("no")

    monkeypatch.setattr(strange, "told", fail)
    found = score(workspace, real_models.setting(workspace.database, wished(0.02)), ordinary())
    assert len(found) == 51
    assert {(each[0], each[3]) for each in found.values()} == {("review", 0.0)}


def test_the_model_of_a_project_tells_by_what_came_with_it(workspace: Workspace) -> None:
    """Sixty rows are too few to tell anything by, and nothing is."""
    held = real_models.setting(workspace.database, wished(0.02))
    models = Models(workspace.database, workspace.settings, "cpu")
    model_id = workspace.database.read(lambda s: s.scalars(select(Routing.model_id)).first())
    assert model_id is None
    real_models.arrive(workspace.database, held, 1)
    Scoring(workspace, models, threading.Event()).turn()
    model_id = workspace.database.read(lambda s: s.scalars(select(Routing.model_id)).one())
    assert models.ordinary(model_id) is None
