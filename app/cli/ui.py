"""`signoff ui`: the desk."""

from app.cli.options import Dir, Host, Port, noun

app = noun("The desk, where people decide.")


@app.command()
def run(directory: Dir = None, host: Host = "127.0.0.1", port: Port = 8501) -> None:
    """Serve the desk alone, until Ctrl-C."""
    from app import web
    from app.cli.console import opened

    with opened(directory, make=True, serving=True) as workspace:
        web.serve(workspace, host=host, port=port, api=False, desk=True)
