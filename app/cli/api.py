"""`signoff api`: the HTTP API."""

from app.cli.options import Dir, Host, Port, noun

app = noun("The HTTP API, for programs.")


@app.command()
def run(directory: Dir = None, host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Serve the API alone, until Ctrl-C."""
    from app import web
    from app.cli.console import opened

    with opened(directory, make=True, serving=True) as workspace:
        web.serve(workspace, host=host, port=port, api=True, desk=False)
