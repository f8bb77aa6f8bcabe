"""The heading under which a feature stands with others."""

from typing import Any

import pytest
from pydantic import ValidationError

from contract.canonical import content_hash
from contract.project import Feature, Project
from tests import factories


def of(**feature: Any) -> Project:
    return factories.project(input={"type": "tabular", "features": {"amount": {"type": "number", **feature}}})


def test_a_project_without_groups_keeps_the_hash_of_before() -> None:
    dumped = of().model_dump(mode="json")
    before = {"type": "number", "title": None, "unit": None, "optional": False, "was": None}
    assert dumped["input"]["features"]["amount"] == before
    assert content_hash(of(group="Money").model_dump(mode="json")) != content_hash(dumped)


def test_a_group_is_read_back() -> None:
    held = of(group="Money")
    assert Project.model_validate_json(held.model_dump_json()) == held
    assert held.input.features["amount"].group == "Money"


@pytest.mark.parametrize("group", ["", "x" * 81, 7, ["a"]])
def test_a_group_is_a_short_text(group: Any) -> None:
    with pytest.raises(ValidationError):
        Feature.model_validate({"type": "number", "group": group})
