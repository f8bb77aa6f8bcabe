"""The brake: freezing automation, and lifting that."""

from app.ui import widgets
from app.ui.widgets import Place
from review_queue import projects


def draw(place: Place, at: str) -> None:
    """For leads, who may freeze, and owners, who may lift a freeze too. `at`: the screen that tells what came of it."""
    frozen = place.setting.frozen_at is not None
    name = "Lift the freeze: automation acts again" if frozen else "Freeze automation: every new case goes to people"
    if not place.actor.at_least("owner" if frozen else "lead"):
        return
    question = _lifted(place) if frozen else "Then every new case goes to people. Freeze it?"
    widgets.twice(name, question, name=f"{at}-freeze", on_click=_freeze, args=(place, not frozen, at))


def _lifted(place: Place) -> str:
    signers = place.setting.policy.evidence.signers
    after = "Then automation acts again as far as it is granted" if signers == 1 else f"It acts again once {signers} have signed"
    return f"{after}. Lift it?"


def _freeze(place: Place, frozen: bool, at: str) -> None:
    key = place.workspace.keys.draw_key_id

    def act() -> None:
        place.database.write(projects.freeze, place.setting.name, key, by=place.actor, frozen=frozen)

    alone = frozen or place.setting.policy.evidence.signers == 1
    said = "Automation is frozen." if frozen else "The freeze is lifted." if alone else "Put up for signing on Autonomy."
    widgets.tried(act, said, at=at)
