"""The section of docs/accuracy.md on accuracy and calibration against area, from what `coverage.py report` stored."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import one_budget

HERE = Path(__file__).parent
FIGURES = HERE / "predictions" / "areas" / "coverage.json"
KNOWN_MORE = HERE / "predictions" / "areas" / "known_more.json"
RADIUS_M = 40.0
RAW, HOME, MANY = "the model's own probabilities", "the calibration of its home", "the calibration of many maps"


def section() -> str:
    """Return the section."""
    found = json.loads(FIGURES.read_text())
    sizes = {name: {row["size_m"]: row for row in found[name]["by_size"]} for name in (RAW, HOME, MANY) if name in found}
    heads = ("side", "towns to fit", "towns scored", "photos", "R@40m %", "chance %", "50 % regions hold %", "90 % regions",
             "95 % regions", "90 %: scatter of single towns", "90 % without calibration")
    lines = [heads, ("---",) * len(heads)]
    for size, row in sizes[MANY].items():
        fitted = sum(name.startswith(f"fit-{size}-") for name in found["fit"])
        levels = [_words(row["coverage"][level]) for level in ("50", "90", "95")]
        lines.append((f"{size:,} m".replace(",", " "), str(fitted), str(row["maps"]), str(row["photos"]),
                      _words(row["recall_at_40m"]), f"{100 * chance(size):.1f}", *levels,
                      f"{100 * row['coverage']['90'][3]:.1f}",
                      _words(sizes[RAW][size]["coverage"]["90"])))
    text = (HERE / "areas.md").read_text()
    return text.replace("TABLE", _table(lines)).replace("HEADINGS", _table(_known_more())).replace("BUDGET", one_budget.table())


def _known_more() -> list[tuple[str, ...]]:
    """Return the lines of the table of what `known_more.py` stored."""
    rows = json.loads(KNOWN_MORE.read_text())
    ways = [way for way in rows[0] if way not in ("size_m", "towns")]
    lines = [("side", "towns", *ways), ("---",) * (2 + len(ways))]
    return lines + [(f"{row['size_m']:,} m".replace(",", " "), str(row["towns"]), *(_words(row[way]) for way in ways))
                    for row in rows]


def _table(lines: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def chance(size_m: float) -> float:
    """Return the probability that two random points of a square are at most `RADIUS_M` apart."""
    r = RADIUS_M / size_m
    return math.pi * r**2 - 8 / 3 * r**3 + r**4 / 2


def _words(figure: list[Any]) -> str:
    mean, low, high = (100 * value for value in figure[:3])
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"
