"""Accuracy by decisions as a picture: one panel a data set, one line an arm, bars for the 95 % intervals of the means."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

WIDE, HIGH, LEFT, TOP, FOOT = 300, 240, 44, 34, 34
COLOURS = {"unweighted": "#0072b2", "weighted": "#d55e00", "random": "#777777"}
NAMES = {"unweighted": "decided at the desk", "weighted": "the same, weighted", "random": "drawn at random"}
STOPS = (0, 500, 1_000, 2_000)


def picture(runs: Sequence[Mapping[str, Any]]) -> str:
    """An SVG for light and dark pages."""
    names = list(dict.fromkeys(each["set"] for each in runs))
    panels = "".join(_panel(n, name, [each for each in runs if each["set"] == name]) for n, name in enumerate(names))
    keys = "".join(
        f'<rect x="{LEFT + 190 * n}" y="{HIGH + 8}" width="14" height="4" fill="{COLOURS[arm]}"/>'
        f'<text x="{LEFT + 20 + 190 * n}" y="{HIGH + 14}">{said}</text>'
        for n, (arm, said) in enumerate(NAMES.items())
    )
    box = f'viewBox="0 0 {WIDE * len(names)} {HIGH + 24}"'
    said = 'role="img" aria-label="Accuracy on untouched rows by the number of decisions"'
    style = "<style>text{font:11px sans-serif;fill:#808080}</style>"
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box} {said}>{style}{panels}{keys}</svg>\n'


def _panel(place: int, name: str, runs: Sequence[Mapping[str, Any]]) -> str:
    means = {arm: 100 * np.mean([each[arm] for each in runs], axis=0) for arm in NAMES}
    halves = {arm: 100 * half_width([each[arm] for each in runs]) for arm in NAMES}
    low = min(float((means[arm] - halves[arm]).min()) for arm in NAMES)
    high = max(float((means[arm] + halves[arm]).max()) for arm in NAMES)

    def across(stop: float) -> float:
        return WIDE * place + LEFT + (WIDE - LEFT - 16) * stop / STOPS[-1]

    def down(value: float) -> float:
        return TOP + (HIGH - TOP - FOOT) * (high - value) / (high - low)

    title = f'<text x="{across(0)}" y="{TOP - 14}">{name}: right, in %</text>'
    marks = "".join(f'<text x="{across(stop)}" y="{HIGH - 8}" text-anchor="middle">{stop:,}</text>' for stop in STOPS)
    return title + marks + "".join(_scale(low, high, across, down)) + "".join(
        _line(arm, means[arm], halves[arm], across, down) for arm in NAMES
    )  # fmt: skip


def _scale(low: float, high: float, across: Any, down: Any) -> Iterator[str]:
    step = next(each for each in (0.5, 1, 2, 5, 10) if (high - low) / each <= 6)
    for value in np.arange(np.ceil(low / step) * step, high, step):
        y, begin, end = down(value), across(0), across(STOPS[-1])
        yield f'<path d="M{begin:.1f} {y:.1f}H{end:.1f}" stroke="#808080" stroke-opacity=".25"/>'
        yield f'<text x="{begin - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'


def _line(arm: str, means: Any, halves: Any, across: Any, down: Any) -> str:
    shift = 3 * (list(NAMES).index(arm) - 1)
    points = [(across(stop) + shift, down(mean)) for stop, mean in zip(STOPS, means, strict=True)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    bars = "".join(
        f'<path d="M{x:.1f} {down(mean - half):.1f}V{down(mean + half):.1f}" stroke="{COLOURS[arm]}" stroke-opacity=".5"/>'
        for (x, _), mean, half in zip(points, means, halves, strict=True)
    )
    return f'<polyline points="{line}" fill="none" stroke="{COLOURS[arm]}" stroke-width="1.8"/>{bars}'


def half_width(values: Sequence[Any]) -> Any:
    """Half of the 95 % t-interval of the mean of runs, (runs,) or (runs, stops)."""
    from scipy.stats import t

    n = len(values)
    return t.ppf(0.975, n - 1) * np.std(values, axis=0, ddof=1) / n**0.5 if n > 1 else np.zeros(np.shape(values)[1:])
