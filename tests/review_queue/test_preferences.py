"""What a person chose for their own desk."""

from zoneinfo import ZoneInfo

import pytest

from db.engine import Database
from review_queue import preferences
from review_queue.errors import Invalid
from review_queue.preferences import Preferences
from tests import factories


def test_a_choice_is_kept_for_its_person_alone(database: Database) -> None:
    one, other = factories.person(database, "one"), factories.person(database, "other")
    chosen = Preferences("page", "Asia/Tokyo", {"accept": "j"})
    database.write(preferences.choose, one, chosen)
    assert database.read(preferences.of, one.id) == chosen
    assert database.read(preferences.of, other.id) == Preferences()


def test_an_unknown_zone_is_refused_with_the_nearest(database: Database) -> None:
    with pytest.raises(Invalid, match="Europe/Berlin"):
        database.write(preferences.choose, factories.person(database, "one"), Preferences(zone="Europe/Berln"))


def test_times_are_read_in_the_chosen_zone_else_the_browsers_else_the_projects() -> None:
    project = ZoneInfo("Europe/Berlin")
    assert preferences.zone(Preferences(zone="Asia/Tokyo"), "Europe/Paris", project).key == "Asia/Tokyo"
    assert preferences.zone(Preferences(), "Europe/Paris", project).key == "Europe/Paris"
    assert preferences.zone(Preferences(), None, project) == project
    assert preferences.zone(Preferences(), "Mars/Base", project) == project
