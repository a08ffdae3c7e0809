"""A comparison as files: tables to read (Markdown), one to compute with (CSV), and everything (JSON)."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from justzoomin.files import write_bytes, write_json
from justzoomin.scoring.comparing import Change, Compared, Comparison
from justzoomin.scoring.resampling import Figure


def markdown(comparison: Comparison) -> str:
    """Return the comparison as Markdown tables: figures with intervals, differences, recall against area, cost."""
    radii = list(comparison.rows[0].score.recall_at_m)
    areas = list(comparison.rows[0].score.recall_at_area)
    heads = ["R@1 %", *(f"R@{r:g}m %" for r in radii), "median m", "mean m"]
    keys = ["recall_at_1", *(f"recall_at_{r:g}m" for r in radii), "median_m", "mean_m"]
    parts = [
        f"# {comparison.photos:,} photos of split {_plain(comparison.split)}",
        _table(["", *heads], [[_label(row), *map(_figure, _figures(row, radii))] for row in comparison.rows]),
        f"In brackets 95 % intervals. Intervals: {comparison.protocol['intervals']}.",
        f"## Against {_plain(comparison.reference)}",
        _table(["", *heads], [[_label(row), *(_change(row.changes[key]) for key in keys)]
                              for row in comparison.rows if row.changes]),
        "Differences on the same photos in the same bootstrap draws, with 95 % intervals and two-sided p.",
        "## Recall against area",
        _table(["", *(f"{a:,.0f} m² %" for a in areas)],
               [[_label(row), *(_figure(row.score.recall_at_area[a]) for a in areas)] for row in comparison.rows]),
        "Share of photos whose own cell is among the best-ranked cells of that area.",
    ]
    parts += _claims(comparison) + _costs(comparison)
    parts += ["## Protocol", "\n".join(f"- {name.replace('_', ' ')}: {_plain(words)}" for name, words in
                                       comparison.protocol.items())]
    return "\n\n".join(parts) + "\n"


def csv_text(comparison: Comparison) -> str:
    """Return CSV with a line per row and figure: row, kind, figure, value, low, high, and difference, low, high, p."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "kind", "figure", "value", "low", "high", "difference", "difference_low", "difference_high", "p"])
    for row in comparison.rows:
        named: dict[str, Figure | None] = {
            "recall_at_1": row.score.recall_at_1, **{f"recall_at_{r:g}m": f for r, f in row.score.recall_at_m.items()},
            "median_m": row.score.median_m, "mean_m": row.score.mean_m,
            **{f"recall_at_{a:.10g}m2": f for a, f in row.score.recall_at_area.items()}}
        for name, figure in named.items():
            if figure is not None:
                against = _against(row.changes.get(name))
                writer.writerow([row.name, row.kind, name, figure.value, figure.low, figure.high, *against])
    return text.getvalue()


def _against(change: Change | None) -> list[float | str]:
    if change is None:
        return [""] * 4
    return [change.difference.value, change.difference.low, change.difference.high, change.p]


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Write `comparison.md`, `.csv` and `.json` into a folder and return their paths.

    Raises:
        OSError: If they cannot be written.
    """
    return [write_bytes(folder / "comparison.md", markdown(comparison).encode()),
            write_bytes(folder / "comparison.csv", csv_text(comparison).encode()),
            write_json(comparison.to_dict(), folder / "comparison.json")]


def _figures(row: Compared, radii: list[float]) -> list[Figure]:
    return [row.score.recall_at_1, *(row.score.recall_at_m[r] for r in radii), row.score.median_m, row.score.mean_m]


def _claims(comparison: Comparison) -> list[str]:
    rows = [(row, row.calibration) for row in comparison.rows if row.calibration is not None]
    lines = []
    for row, found in rows:
        held = [None if region["coverage"] is None else Figure(**region["coverage"]) for region in found["regions"].values()]
        claim = found["confidence"]
        if any(held) or claim:
            lines.append([_label(row), *map(_figure, held), "-" if claim is None else f"{claim['ece']:.1f} ({claim['claims']})",
                          "-" if found["true_log_prob"] is None else f"{found['true_log_prob']:.2f}"])
    if not lines:
        return []
    levels = list(rows[0][1]["regions"])
    return ["## Claims", _table(["", *(f"in the {level} % region %" for level in levels), "calibration error %",
                                 "log-probability of the true cell, nats"], lines)]


def _costs(comparison: Comparison) -> list[str]:
    names = {"views": "views a photo", "ms": "ms a photo", "parameters": "parameters", "map_views": "views of the map",
             "index_bytes": "bytes of index"}
    lines = [[_label(row), *(_amount(row.cost.get(name)) for name in names)] for row in comparison.rows if row.cost is not None]
    return ["## Cost", _table(["", *names.values()], lines)]


def _amount(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"


def _label(row: Compared) -> str:
    return _plain(row.name) + (f" ({len(row.seeds)} seeds)" if row.seeds else "")


def _plain(text: str) -> str:
    """Escape a text so that it is shown literally in Markdown and its tables."""
    return "".join("\\" + c if c in "\\|*_`[]<>#" else c if c.isprintable() else " " for c in text)


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 999.95 else f"{value:.0f}"


def _figure(figure: Figure | None) -> str:
    return "-" if figure is None else f"{_number(figure.value)} [{_number(figure.low)}, {_number(figure.high)}]"


def _change(change: Change) -> str:
    d = change.difference
    return f"{d.value:+.1f} [{d.low:+.1f}, {d.high:+.1f}] p {change.p:.2g}"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
