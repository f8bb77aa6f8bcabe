"""A filter that is saved twice in the same moment."""

from db.engine import Database
from review_queue import saved_filters
from review_queue.activity import Actor
from review_queue.filters import Filter
from review_queue.projects import Setting
from tests.review_queue.acting import at_once


def test_saved_at_once_is_saved_once(database: Database, held: Setting, lea: Actor) -> None:
    def save() -> None:
        database.write(saved_filters.save, held, lea, "mine", Filter("held"))

    assert at_once([save] * 4) == []
    assert [each.query for each in database.read(saved_filters.listed, held, lea)] == ["state=held"]
