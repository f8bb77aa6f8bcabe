"""Calls to processes that wait, so that they need not look often. Only PostgreSQL carries them; elsewhere they look."""

from typing import Any, Literal

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

CHANNEL = "signoff"
Topic = Literal["score", "jobs", "webhooks"]


def call(session: Session, topic: Topic, *, unless: Select[Any] | None = None) -> None:
    """Tell whoever waits for this, once the transaction has committed; not where `unless` finds a row now.

    Transactions that call commit one after the other, so this is not for what many do at once.
    """
    if session.get_bind().dialect.name == "postgresql":
        telling = select(func.pg_notify(CHANNEL, topic))
        session.execute(telling if unless is None else telling.where(~unless.exists()))
