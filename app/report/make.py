"""Making a report: for the command line, and as a job that leaves it in the store."""

from typing import Any

from app.report import page
from app.report.gather import Progress, gather
from app.report.records import TYPE, Report
from db import blobs
from db.engine import Database
from review_queue import periods
from review_queue.errors import Invalid
from review_queue.periods import Period
from review_queue.projects import Setting

DAYS = 90
"""Days of a report, unless said."""


def made(database: Database, setting: Setting, days: int, progress: Progress = lambda share, step: None) -> Report:
    """The report on the latest days, today among them. Raises Invalid for as many as no period has."""
    return database.read(gather, setting, _period(days), progress)


def drawn(report: Report, setting: Setting) -> str:
    """The report as its file; times in the project's zone."""
    return page.page(report, setting.project.zone)


def kept(database: Database, setting: Setting, days: int, progress: Progress) -> dict[str, Any]:
    """Make one and keep its file; what the job tells."""
    report = made(database, setting, days, progress)
    progress(0.95, "writing the page")
    sha = database.write(blobs.put, drawn(report, setting).encode(), TYPE)
    return {"report": sha, "from": str(report.period.first), "to": str(report.period.last)}


def _period(days: int) -> Period:
    if not 1 <= days <= periods.LONGEST:
        raise Invalid(f"a report is on 1 to {periods.LONGEST:,} days; {days:,} were asked for")
    return periods.latest(days)
