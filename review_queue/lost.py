"""Why a person no longer holds a case that is still on their screen, as a sentence with the way on."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.tables import Activity, Claim, ItemKey, Task
from review_queue.activity import Actor

GONE = "This case is not yours any more. Nothing of what you were saying was stored."


def why(session: Session, actor: Actor, token: str, noun: str) -> str:
    """What happened to the hold behind a token; GONE where that is not known."""
    row = session.execute(
        select(Claim.state, Claim.task_id, Task.state, ItemKey.closed_at, ItemKey.shown_id)
        .join(Task, Task.id == Claim.task_id)
        .join(ItemKey, ItemKey.item_id == Claim.item_id)
        .where(Claim.token == token, Claim.person_id == actor.id)
    ).first()
    if row is None:
        return GONE
    state, task_id, task_state, closed_at, replaced = row
    if task_state == "cancelled" and replaced is not None:
        return f"The producer sent this {noun} anew, with other content; the new one is judged in its place. Nothing was stored."
    if task_state == "cancelled":
        return f"The producer withdrew this {noun}: nobody wants an answer any more. Nothing was stored." if closed_at else GONE
    if state == "expired":
        return "Your hold on this case ran out, and it went back to the queue. Nothing was stored."
    if state == "released" and _taken_away(session, task_id):
        return "A lead took this case from you. Nothing of what you were saying was stored."
    return GONE


def _taken_away(session: Session, task_id: int) -> bool:
    query = select(Activity.id).where(Activity.subject == f"task:{task_id}", Activity.verb == "task.release")
    return session.scalar(query.limit(1)) is not None
