"""Calls to processes that wait, so that they need not look often. Only PostgreSQL carries them; elsewhere they look."""

from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

CHANNEL = "signoff"
Topic = Literal["score", "jobs", "webhooks"]


def call(session: Session, topic: Topic) -> None:
    """Tell whoever waits for this, once the transaction has committed.

    Transactions that call commit one after the other, so this is not for what many do at once.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_notify(CHANNEL, topic)))
