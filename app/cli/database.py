"""`signoff db`: the tables."""

import typer

from app.cli.options import AsJson, Dir, noun

app = noun("The database: its tables and their history.")


@app.command()
def upgrade(directory: Dir = None) -> None:
    """Bring the database to the tables of this release. Back it up first."""
    from app.cli.console import database_of, say, settings_of
    from db.migrate import is_current
    from db.migrate import upgrade as bring_up

    settings = settings_of(directory)
    if settings.database_url is None:
        settings.dir.mkdir(parents=True, exist_ok=True)
    with database_of(settings) as database:
        before = is_current(database)
        bring_up(database)
    say(False, None, "the database was of this release already" if before else "the database is of this release now")


@app.command()
def check(directory: Dir = None, as_json: AsJson = False) -> None:
    """Say whether the database has the tables of this release, and where it differs."""
    from app.cli.console import database_of, require_workspace, say, settings_of
    from db.migrate import differences, is_current

    settings = settings_of(directory)
    require_workspace(settings)
    with database_of(settings) as database:
        current = is_current(database)
        found = [str(each) for each in differences(database)] if current else []
    text = "the database is of another release; back it up, then run `signoff db upgrade`"
    if current:
        text = "\n".join(("the tables differ from those of this release:", *found)) if found else "ok"
    say(as_json, {"current": current, "differences": found}, text)
    if not current or found:
        raise typer.Exit(1)
