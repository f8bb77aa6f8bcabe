"""`signoff db`: the tables."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import AsJson, Dir, noun

if TYPE_CHECKING:
    from db.engine import Database

app = noun("The database: its tables and their history.")


@app.command()
def upgrade(directory: Dir = None) -> None:
    """Bring the database to the tables of this release, telling each step. Back it up first."""
    from app.cli.console import database_of, say, settings_of
    from db.migrate import upgrade as bring_up

    settings = settings_of(directory)
    if settings.database_url is None:
        settings.dir.mkdir(parents=True, exist_ok=True)
    with database_of(settings) as database:
        steps = bring_up(database, tell=lambda step: say(False, None, f"{step.revision} {step.title}: {step.seconds:.1f} s"))
    say(False, None, "the database is of this release now" if steps else "the database was of this release already")


@app.command()
def check(
    recount: Annotated[
        bool, typer.Option("--recount", envvar="SIGNOFF_RECOUNT", help="First make the kept counts those of the tables.")
    ] = False,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Say whether tables and release fit, and whether every rule holds that must hold of the rows. Reads whole tables."""
    from app.cli.console import database_of, require_workspace, say, settings_of
    from db.migrate import differences, misfit, standing
    from review_queue import checks

    settings = settings_of(directory)
    require_workspace(settings)
    with database_of(settings) as database:
        reason, current = misfit(database), standing(database) == "current"
        found = [str(each) for each in differences(database)] if current else []
        if recount and reason is None and not found:
            _recount(database)
        broken = database.read(checks.problems) if reason is None and not found else []
    text = reason or ("ok" if current else "ok: the database is of a newer release, which this one fits")
    if found:
        text = "\n".join(("the tables differ from those of this release:", *found))
    if broken:
        text = "\n".join(("rules are broken; report this as a fault, and keep a copy of the database:", *broken))
    say(as_json, {"current": current, "fits": reason is None, "differences": found, "problems": broken}, text)
    if reason is not None or found or broken:
        raise typer.Exit(1)


def _recount(database: "Database") -> None:
    """Add what the counts lack. What is added meanwhile is added to both sides, so nobody has to stop for it."""
    from review_queue import days, projects, tallies

    for setting in database.read(projects.everything):
        database.write(tallies.add, setting.id, tallies.NO_DAY, **database.read(tallies.astray, setting.id))
        database.write(days.mend, setting.id, database.read(days.astray, setting.id))
