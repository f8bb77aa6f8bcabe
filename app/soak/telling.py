"""What a soak did and found, for people."""

from app.soak.run import Report

_COUNTS = {
    "items": "items taken",
    "replaced": "replaced",
    "cancelled": "cancelled",
    "duplicates": "sent twice",
    "asked": "looks asked for",
    "decisions": "decisions",
    "undone": "taken back",
    "late": "leases let run out",
    "refused": "answers refused as too late",
    "events": "events read",
    "cut": "calls cut by a fault",
    "dropped": "replies thrown away",
}


def text(report: Report) -> str:
    """A few lines; the findings last."""
    counted = ", ".join(f"{report.counts.get(name, 0):,} {title}" for name, title in _COUNTS.items())
    faults = ", ".join(f"{n} × {name}" for name, n in sorted(report.faults.items())) or "none"
    lines = [
        f"{report.database}, seed {report.seed}, {report.seconds:.0f} s",
        counted,
        f"killed: {faults}",
        f"decide-and-next over HTTP: p50 {report.p50:.0f} ms, p95 {report.p95:.0f} ms",
    ]
    return "\n".join([*lines, *(report.found or ["nothing is wrong"])])
