"""What an installation may set, from `SIGNOFF_…` variables; read once, handed down."""

import os
import secrets
from functools import cached_property
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The workspace folder holds the SQLite database and the secret key, unless both are set from outside."""

    model_config = SettingsConfigDict(env_prefix="SIGNOFF_", frozen=True, ignored_types=(cached_property,))

    dir: Path = Path("signoff-data")
    database_url: str | None = None
    secret_key: str | None = Field(default=None, repr=False)
    device: str = "auto"
    threads: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 2) // 2), ge=1)
    webhooks_private: bool = Field(default=False, description="webhooks may be posted to addresses inside, and over http")
    mlflow: str | None = Field(
        default=None, description="where MLflow is, as it takes a URI, or off; a file in the workspace where it is not set"
    )
    batch_size: int | None = Field(default=None, ge=1, description="items scored at once; probed where it is not set")

    connections: int = Field(default=20, ge=2, description="of one process to a PostgreSQL server")
    statement_seconds: float = Field(default=30, ge=0, description="a statement of the desk and the API may take; 0 is no limit")

    oidc_metadata_url: str | None = Field(default=None, description="the provider's …/.well-known/openid-configuration")
    oidc_client_id: str | None = None
    oidc_client_secret: str | None = Field(default=None, repr=False)
    oidc_public_url: str | None = Field(
        default=None, description="the desk's own address, to which the provider sends people back"
    )
    oidc_name: str = Field(default="your organisation", description="what the sign-in page calls the provider")
    oidc_scope: str = "openid email profile"
    oidc_domains: str = Field(default="", description="whose verified addresses are let in, by comma")
    oidc_role: str = Field(default="reviewer", description="of whom an address lets in")
    oidc_groups: str = Field(default="", description="GROUP=ROLE by comma; these groups alone are let in then")
    oidc_groups_claim: str = "groups"
    oidc_projects: str = Field(default="", description="opened to whoever comes for the first time, by comma; every one if empty")
    oidc_trust_email: bool = Field(
        default=False, description="the provider says not that it verified addresses, but it owns them"
    )

    def bound_threads(self) -> None:
        """Bind torch, OpenMP and BLAS of this process; call it before they are imported.

        Threads that wait for each other on a busy machine are several times slower than fewer of them.
        """
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(name, str(self.threads))

    @property
    def url(self) -> str:
        """Where the database is."""
        return self.database_url or f"sqlite:///{self.dir.resolve() / 'signoff.db'}"

    @property
    def tracking(self) -> str | None:
        """Where trainings are told to MLflow; None where they are not."""
        if self.mlflow == "off":
            return None
        beside = f"sqlite:///{self.dir.resolve() / 'mlflow.db'}" if self.dir.is_dir() else None
        return self.mlflow or beside

    @cached_property
    def secrets(self) -> list[str]:
        """The installation's secrets, newest first; made on first use where none is set."""
        if self.secret_key:
            return [part.strip() for part in self.secret_key.split(",") if part.strip()]
        path = self.dir / "secret.key"
        if not path.exists():
            write_secret(path, [])
        return path.read_text(encoding="utf-8").split()


def write_secret(path: Path, older: list[str]) -> None:
    """Put a new secret before the older ones into a file that only its owner reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}")
    beside.touch(mode=0o600)
    beside.write_text("\n".join([secrets.token_urlsafe(32), *older]) + "\n", encoding="utf-8")
    if older:
        beside.replace(path)
        return
    try:
        os.link(beside, path)  # whoever is first wins; the others read what that one wrote
    except FileExistsError:
        pass
    finally:
        beside.unlink()
