"""Keys for draws, links and webhooks, derived from the installation's secret; the database knows fingerprints only."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from db.tables import SecretKey
from review_queue import clock
from review_queue.errors import StrangeKey


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """What a process may use: draw and webhook keys by their row, the rows that new rules and webhooks name, and the key for
    links. Prints nothing of it."""

    draw: dict[int, bytes]
    draw_key_id: int
    link: bytes
    webhook: dict[int, bytes]
    webhook_key_id: int

    def draw_key(self, key_id: int) -> bytes:
        """The key that a rule names. Raises StrangeKey where this process does not hold it."""
        if key_id not in self.draw:
            raise StrangeKey("the draw key was rotated since this process started; start it again with the new secret")
        return self.draw[key_id]

    def webhook_secret(self, webhook_id: int, key_id: int) -> str:
        """What signs the events of a webhook, as its receiver knows it. Raises StrangeKey where this process does not hold its
        key."""
        if key_id not in self.webhook:
            raise StrangeKey("the secret of this webhook was rotated away; put the older secret back, or add the webhook anew")
        return "whsec_" + urlsafe_b64encode(_expand(self.webhook[key_id], f"signoff webhook {webhook_id}")).decode().rstrip("=")


def derive(secret: str, purpose: str) -> bytes:
    """32 bytes for one purpose (HKDF, RFC 5869)."""
    return _expand(secret.encode(), f"signoff {purpose}")


def fingerprint(key: bytes) -> str:
    """What may be stored of a key."""
    return hmac.new(key, b"fingerprint", hashlib.sha256).hexdigest()[:16]


def open_keys(session: Session, secrets: Sequence[str], *, adopt: bool = False) -> Keys:
    """The keys of a process whose secrets are given newest first.

    Raises StrangeKey where the newest draw key in the database is none of theirs, unless it is told to adopt.
    """
    known = _known(session, "draw")
    if known and not adopt and list(known.values())[-1] not in _by_fingerprint(secrets, "draw"):
        raise StrangeKey(
            "the secret key of this process is not the one this database was used with; "
            "set SIGNOFF_SECRET_KEY (or the file secret.key) to that one, or run `signoff doctor --new-key`"
        )
    draw, draw_key_id = _usable(session, secrets, "draw")
    webhook, webhook_key_id = _usable(session, secrets, "webhook")
    return Keys(draw, draw_key_id, derive(secrets[0], "link"), webhook, webhook_key_id)


def _usable(session: Session, secrets: Sequence[str], purpose: str) -> tuple[dict[int, bytes], int]:
    """The keys of one purpose by their row, and the row of the newest, written where it is not known yet."""
    derived, known = _by_fingerprint(secrets, purpose), _known(session, purpose)
    newest = fingerprint(derive(secrets[0], purpose))
    if newest not in known.values():
        make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
        row = {"purpose": purpose, "fingerprint": newest, "active_from": clock.now()}
        session.execute(make(SecretKey).values(row).on_conflict_do_nothing())  # several processes may start at once
        known = _known(session, purpose)
    usable = {row: derived[print_] for row, print_ in known.items() if print_ in derived}
    return usable, next(row for row, print_ in known.items() if print_ == newest)


def _by_fingerprint(secrets: Sequence[str], purpose: str) -> dict[str, bytes]:
    return {fingerprint(key): key for key in (derive(secret, purpose) for secret in secrets)}


def _known(session: Session, purpose: str) -> dict[int, str]:
    query = select(SecretKey.id, SecretKey.fingerprint).where(SecretKey.purpose == purpose).order_by(SecretKey.id)
    return {row.id: row.fingerprint for row in session.execute(query)}


def _expand(key: bytes, info: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=info.encode()).derive(key)
