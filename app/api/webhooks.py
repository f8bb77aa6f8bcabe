"""Where events are posted to: added, listed, ended, and what they did not take sent again."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.api import bodies, shapes
from app.api.access import Admin, Exporter, Here, Standing
from app.api.decisions import BigId
from app.api.problems import listed
from review_queue import addresses, webhooks

MOST_LISTED = 1000
router = APIRouter(prefix="/projects/{project}/webhooks", tags=["webhooks"], route_class=bodies.StrictRoute)


@router.get("", summary="Webhooks and how they fare", responses=listed(404))
def get_webhooks(here: Here, actor: Exporter, held: Standing) -> shapes.Webhooks:
    """Those that post, and those that their receiver ended with 410. Secrets are not shown,
    and to whoever is below owner no paths of addresses."""
    found = here.database.read(webhooks.every, held.id)
    return shapes.Webhooks(webhooks=[shapes.Webhook.model_validate(each.as_seen_by(actor)) for each in found])


@router.post("", status_code=201, summary="Add a webhook", responses=listed(404, 422))
def post_webhook(here: Here, actor: Admin, held: Standing, wish: shapes.WebhookIn, response: Response) -> shapes.WebhookMade:
    """Events are posted to the address from now on, or from after a position. The reply holds the secret that signs them; it is
    not shown again."""
    private = here.settings.webhooks_private
    parts = addresses.check_url(wish.url, private=private)
    addresses.lookup(str(parts.hostname), parts.port or 443, private=private)
    after = int(wish.after) if wish.after is not None else None
    hook = here.database.write(webhooks.add, held.id, wish.url, keys=here.keys, kinds=wish.kinds, after=after, by=actor)
    response.headers["Location"] = f"/api/v1/projects/{held.name}/webhooks"
    made = shapes.Webhook.model_validate(hook).model_dump()
    return shapes.WebhookMade(**made, secret=here.keys.webhook_secret(hook.id, hook.key_id))


@router.delete("/{webhook_id}", status_code=204, summary="End a webhook", responses=listed(404))
def delete_webhook(here: Here, actor: Admin, held: Standing, webhook_id: BigId) -> None:
    """Nothing is posted there any more, and what it did not take is forgotten."""
    here.database.write(webhooks.remove, held.id, webhook_id, by=actor)


@router.get("/{webhook_id}/deliveries", summary="What a webhook did not take", responses=listed(404, 422))
def get_deliveries(
    here: Here,
    actor: Exporter,
    held: Standing,
    webhook_id: BigId,
    dead: Annotated[bool, Query(description="Dead letters alone.")] = False,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="From after this `seq`.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 100,
) -> shapes.Deliveries:
    """Events that wait for their next try, wait behind an earlier one of their item, or are dead."""
    found = here.database.read(webhooks.undelivered, held.id, webhook_id, dead=dead, after=after, limit=limit)
    return shapes.Deliveries(deliveries=[shapes.Delivery.model_validate(each) for each in found])


@router.delete("/{webhook_id}/deliveries/{seq}", status_code=204, summary="Forget a dead letter", responses=listed(404))
def delete_delivery(here: Here, actor: Admin, held: Standing, webhook_id: BigId, seq: BigId) -> None:
    """Later events of its item go on without it."""
    here.database.write(webhooks.drop, held.id, webhook_id, seq, by=actor)


@router.post("/{webhook_id}/resend", summary="Try dead letters again", responses=listed(404, 422))
def post_resend(
    here: Here, actor: Admin, held: Standing, webhook_id: BigId, wish: shapes.ResendIn | None = None
) -> shapes.Resent:
    """All of them, or the one that is named. Later events of their items follow once they are taken."""
    seq = int(wish.seq) if wish is not None and wish.seq is not None else None
    return shapes.Resent(resent=here.database.write(webhooks.resend, held.id, webhook_id, seq=seq, by=actor))
