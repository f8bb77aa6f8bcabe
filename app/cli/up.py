"""`signoff up`: everything on this machine."""

from app.cli.options import Device, Dir, Host, Port


def up(directory: Dir = None, host: Host = "127.0.0.1", port: Port = 8501, device: Device = None) -> None:
    """The desk, the API and a worker on this machine, until Ctrl-C."""
    from app import up as everything
    from app.cli.console import settings_of

    settings = settings_of(directory, device=device)
    everything.run(settings, host=host, port=port, device=settings.device)
