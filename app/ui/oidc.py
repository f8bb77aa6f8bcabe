"""Signing in by an OIDC provider. Streamlit's own routes make the exchange (Authlib); whom they vouch for gets our cookie.

Their cookie is believed once, in the browser that set out from our sign-in page, and nowhere else: not by the API either.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from app.settings import Settings
from app.workspace import NotReady
from review_queue.activity import RANKS
from review_queue.vouched import Rules

KEY = "signoff"
"""What Streamlit calls the provider."""
LOGOUT = "/auth/logout"
SKEW = timedelta(minutes=5)
"""By how much the provider's clock may be behind."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider as the settings have it."""

    name: str
    secrets: Mapping[str, Any]
    rules: Rules


def provider(settings: Settings, link_key: bytes) -> Provider | None:
    """The provider that the settings name; None where they name none. Raises NotReady for what is missing or wrong."""
    if settings.oidc_metadata_url is None:
        return None
    needed = ("oidc_client_id", "oidc_client_secret", "oidc_public_url")
    missing = [f"SIGNOFF_{name.upper()}" for name in needed if not getattr(settings, name)]
    if missing:
        raise NotReady(f"signing in by OIDC needs {' and '.join(missing)} beside SIGNOFF_OIDC_METADATA_URL")
    for module in ("authlib", "httpx"):
        if find_spec(module) is None:
            raise NotReady(f"signing in by OIDC needs {module}: pip install -c constraints.txt -e '.[oidc]'")
    return Provider(settings.oidc_name, _secrets(settings, link_key), _rules(settings))


def _secrets(settings: Settings, link_key: bytes) -> dict[str, Any]:
    """What Streamlit wants to know, as its secrets.toml would have it."""
    public = str(settings.oidc_public_url).rstrip("/")
    parts = urlsplit(public)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path:
        raise NotReady(f"SIGNOFF_OIDC_PUBLIC_URL = {public!r}: write the desk's own address, such as https://signoff.example.org")
    scope = {"scope": settings.oidc_scope, "prompt": "select_account"}
    section = {"client_id": settings.oidc_client_id, "client_secret": settings.oidc_client_secret}
    section |= {"server_metadata_url": settings.oidc_metadata_url}
    cookie = hmac.new(link_key, b"signoff streamlit cookie", hashlib.sha256).hexdigest()
    auth = {"redirect_uri": f"{public}/oauth2callback", "cookie_secret": cookie, KEY: {**section, "client_kwargs": scope}}
    return {"auth": auth}


def _rules(settings: Settings) -> Rules:
    groups = dict(_group(each) for each in _listed(settings.oidc_groups))
    domains = frozenset(each.casefold().lstrip("@") for each in _listed(settings.oidc_domains))
    return Rules(
        domains=domains,
        role=_role("SIGNOFF_OIDC_ROLE", settings.oidc_role),
        groups=groups or None,
        claim=settings.oidc_groups_claim,
        projects=tuple(_listed(settings.oidc_projects)),
        trust_email=settings.oidc_trust_email,
    )


def _group(given: str) -> tuple[str, str]:
    name, sign, role = given.rpartition("=")
    if not sign or not name:
        raise NotReady(f"SIGNOFF_OIDC_GROUPS: {given!r} is no GROUP=ROLE; write such as reviewers=reviewer,heads=lead")
    return name.strip(), _role("SIGNOFF_OIDC_GROUPS", role.strip())


def _role(variable: str, given: str) -> str:
    if given not in RANKS:
        raise NotReady(f"{variable}: {given!r} is no role; choose one of {', '.join(RANKS)}")
    return given


def _listed(given: str) -> list[str]:
    return [part.strip() for part in given.split(",") if part.strip()]


def login_address() -> str:
    """Where the exchange begins; good for two minutes."""
    from streamlit.auth_util import encode_provider_token

    return f"/auth/login?provider={encode_provider_token(KEY)}"


def vouched_for(request: Request) -> dict[str, Any] | None:
    """What the provider said of whoever sits at this browser; None where the exchange did not come to its end."""
    from streamlit.web.server.starlette import starlette_auth_routes as routes
    from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

    held = routes._get_cookie_value_from_request(request, USER_COOKIE_NAME)
    claims = json.loads(held) if held else None
    return claims if isinstance(claims, dict) and claims.get("provider") == KEY else None


def is_fresh(claims: Mapping[str, Any], since: datetime) -> bool:
    """Whether the provider said it after somebody set out for it, and not to an earlier sign-in that this browser still keeps."""
    issued = claims.get("iat")
    return isinstance(issued, (int, float)) and issued >= (since - SKEW).timestamp()


def forget(request: Request, response: Response) -> None:
    """Take Streamlit's cookies away."""
    from streamlit.web.server.starlette import starlette_auth_routes as routes
    from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

    if any(name.startswith(USER_COOKIE_NAME) for name in request.cookies):
        routes._clear_auth_cookie(response, request)
