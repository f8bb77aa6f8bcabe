"""What an item is called where its revisions must be told apart: in its place, in events, in secret draws."""

from typing import Any

from contract.inputs import REPLACED


def place(external_id: str, revision: int) -> str:
    """The place of a replaced revision in `item_key.external_id`: no producer can send it."""
    return f"{external_id}{REPLACED}{revision}"


def draw(external_id: str, revision: int) -> str:
    """The name under which a revision is drawn: of each another, so that their draws are independent."""
    return external_id if revision == 1 else place(external_id, revision)


def event(external_id: str, revision: int) -> dict[str, Any]:
    """How the body of an event names its item; the revision is said of later ones alone."""
    return {"external_id": external_id} if revision == 1 else {"external_id": external_id, "item_revision": revision}
