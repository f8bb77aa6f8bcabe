"""Keys for draws and links, derived from the installation's secret; the database knows fingerprints only."""

import hashlib
import hmac
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


@dataclass(frozen=True, slots=True)
class Keys:
    """What a process may use: the draw keys by their row, the row that new rules name, and the key for links."""

    draw: dict[int, bytes]
    draw_key_id: int
    link: bytes

    def draw_key(self, key_id: int) -> bytes:
        """The key that a rule names. Raises StrangeKey where this process does not hold it."""
        if key_id not in self.draw:
            raise StrangeKey("the draw key was rotated since this process started; start it again with the new secret")
        return self.draw[key_id]


def derive(secret: str, purpose: str) -> bytes:
    """32 bytes for one purpose (HKDF, RFC 5869)."""
    return HKDF(SHA256(), 32, salt=None, info=f"signoff {purpose}".encode()).derive(secret.encode())


def fingerprint(key: bytes) -> str:
    """What may be stored of a key."""
    return hmac.new(key, b"fingerprint", hashlib.sha256).hexdigest()[:16]


def open_keys(session: Session, secrets: Sequence[str], *, adopt: bool = False) -> Keys:
    """The keys of a process whose secrets are given newest first.

    Raises StrangeKey where the newest draw key in the database is none of theirs, unless it is told to adopt.
    """
    derived = {fingerprint(key): key for key in (derive(secret, "draw") for secret in secrets)}
    known = _known(session)
    if known and not adopt and list(known.values())[-1] not in derived:
        raise StrangeKey(
            "the secret key of this process is not the one this database was used with; "
            "set SIGNOFF_SECRET_KEY (or the file secret.key) to that one, or run `signoff doctor --new-key`"
        )
    newest = fingerprint(derive(secrets[0], "draw"))
    if newest not in known.values():
        make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
        row = {"purpose": "draw", "fingerprint": newest, "active_from": clock.now()}
        session.execute(make(SecretKey).values(row).on_conflict_do_nothing())  # several processes may start at once
        known = _known(session)
    usable = {row: derived[print_] for row, print_ in known.items() if print_ in derived}
    current = next(row for row, print_ in known.items() if print_ == newest)
    return Keys(usable, current, derive(secrets[0], "link"))


def _known(session: Session) -> dict[int, str]:
    rows = session.execute(select(SecretKey.id, SecretKey.fingerprint).where(SecretKey.purpose == "draw").order_by(SecretKey.id))
    return {row.id: row.fingerprint for row in rows}
