"""As little of each case of a list as tells it apart."""

from collections.abc import Sequence

from app.ui import resources
from app.ui.draw import similar
from app.ui.widgets import Place
from review_queue import embeddings

FIELDS = 4
"""Fields of a table that are shown."""


def of(place: Place, item_ids: Sequence[int]) -> dict[int, str]:
    """HTML by item; nothing where each opening of a case is logged: a list opens none."""
    project = place.setting.project
    if project.log_openings or not item_ids:
        return {}
    given = place.database.read(embeddings.inputs, place.setting, item_ids)
    leading = list(project.input.features)[:FIELDS]
    return {each: "".join(similar.glimpse(project, said, leading, resources.thumbnail)) for each, said in given.items()}
