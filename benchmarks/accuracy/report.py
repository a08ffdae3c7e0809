"""docs/accuracy.md from stored predictions: tables, paired differences, figures."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import areas
import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from rows import EPOCHS, REFERENCE, ROWS, TESTS, TRAININGS

from justzoomin.scoring import (
    Figure,
    PredictionTable,
    Protocol,
    Resampling,
    baselines_of,
    interval,
    read_predictions,
    row_of,
    score_row,
)
from justzoomin.scoring import Row as Scored

mpl.use("Agg")
from matplotlib import pyplot as plt

RADII_M = (10.0, 20.0, 40.0)
HERE = Path(__file__).parent
COLOURS = {"best": "#b3261e", "paper": "#1f5f99", "retriever": "#2e7d32", "hierarchical": "#8a6d00", "other": "#666666"}
SHOWN = ("best, within 40 m", "best with its zoomer, within 40 m", "paper, posterior, within 40 m", "retriever, within 40 m",
         "retriever with contexts, within 40 m", "hierarchical, within 40 m", "classifier without a map, within 40 m", "chance")
TITLES = {
    "within": "Within the area: other drives on the home town's streets",
    "disjoint": "Disjoint: blocks of the home town that no training photo comes near",
    "other": "Other towns: never seen in training",
}


@dataclass(frozen=True)
class Line:
    """A row of a test set's table.

    Attributes:
        name: What it is called.
        row: All its photos; a column of answers for every seed.
        seeds: How many seeds there are.
        ms: Median milliseconds a photo.
        control: Whether it needs no model.
    """

    name: str
    row: Scored
    seeds: int
    ms: float | None
    control: bool


def write_report(recipe: str, folder: Path, docs: Path) -> None:
    """Write docs/accuracy.md and its figure."""
    order = [row.name for row in ROWS]
    lines, draws = {}, {}
    for test in TESTS:
        lines[test], draws[test] = _read(folder / test, order)
    parts = [(HERE / "intro.md").read_text().format(epochs=EPOCHS, set=recipe), _behind(folder)]
    for test, title in TITLES.items():
        parts.append(f"## {title}\n\n{_table(lines[test], draws[test])}")
    picture = docs / "images" / "accuracy.png"
    _figure(lines, picture)
    parts.append("![Share of photos within a radius, for the three test sets](images/accuracy.png)")
    parts += [areas.section(), (HERE / "findings.md").read_text()]
    parts.append(_commands(recipe))
    (docs / "accuracy.md").write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")
    print(f"{docs / 'accuracy.md'}\n{picture}")


def _read(folder: Path, order: list[str]) -> tuple[list[Line], Resampling]:
    """Return the lines of a test set, and the draws that all of them are compared in."""
    found: dict[str, dict[int, list[PredictionTable]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(folder.glob("*.parquet")):
        match = re.fullmatch(r".+-(\d+)-(?:home|[a-z]+-\d+)", path.stem)
        assert match, path
        table = read_predictions(path).in_order()
        found[table.info.method][int(match[1])].append(table)
    if not found:
        raise SystemExit(f"{folder}: no predictions are stored; see --help")
    photos = _ids(next(iter(next(iter(found.values())).values())))
    protocol = Protocol(radii_m=RADII_M)
    lines = []
    for name in sorted(found, key=lambda n: order.index(n) if n in order else len(order)):
        seeds = found[name]
        for tables in seeds.values():
            if _ids(tables) != photos:
                raise SystemExit(f"{folder}: the photos of {name!r} are not those of the other rows")
        columns = [_pooled([row_of(t, protocol) for t in tables]) for _, tables in sorted(seeds.items())]
        ms = [float(np.median(t.ms)) for tables in seeds.values() for t in tables if np.isfinite(t.ms).all()]
        lines.append(Line(name, _beside(name, columns), len(columns), float(np.median(ms)) if ms else None, name not in order))
    tables = next(iter(next(iter(found.values())).values()))
    baselines = [baselines_of(table, protocol) for table in tables]
    for k in range(len(baselines[0])):
        of_all = [rows[k] for rows in baselines]
        lines.append(Line(of_all[0].name, _pooled(of_all), 1, None, True))
    return lines, _groups(tables)


def _behind(folder: Path) -> str:
    """Return what the intervals rest on: photos, drives and towns of each test set, counted in the stored predictions."""
    text = ["## What is behind the intervals", "",
            "| test set | photos | drives | towns | what is resampled |", "|---|---|---|---|---|"]
    for test, title in TITLES.items():
        tables = [read_predictions(path) for path in sorted(folder.joinpath(test).glob("best-within-40-m-0-*.parquet"))]
        drives = sum(len(set(table.drives or ())) for table in tables)
        text.append(f"| {title.split(':')[0]} | {sum(len(t.photos) for t in tables)} | {drives} | {len(tables)} | "
                    f"{'towns' if len(tables) > 1 else 'drives'} |")
    return "\n".join([*text, "", (HERE / "behind.md").read_text().strip()])


def _ids(tables: list[PredictionTable]) -> list[str]:
    return [photo for table in tables for photo in table.photos]


def _groups(tables: list[PredictionTable]) -> Resampling:
    """Whole towns are drawn where there are several, else whole drives."""
    if len(tables) > 1:
        return Resampling.of_drives([str(k) for k, table in enumerate(tables) for _ in table.photos])
    assert tables[0].drives is not None
    return Resampling.of_drives(list(tables[0].drives))


def _pooled(rows: list[Scored]) -> Scored:
    """Rows of several towns, one after the other."""
    width = min(row.errors_m.shape[1] for row in rows)
    return Scored(rows[0].name, np.concatenate([row.errors_m[:, :width] for row in rows]),
                  np.concatenate([np.broadcast_to(row.correct, len(row)) for row in rows]), None, rows[0].cell_m)


def _beside(name: str, rows: list[Scored]) -> Scored:
    """Rows of several seeds, side by side."""
    return Scored(name, np.concatenate([row.errors_m for row in rows], 1), np.mean([row.correct for row in rows], 0), None,
                  rows[0].cell_m)


def _table(lines: list[Line], draws: Resampling) -> str:
    heads = ["", "seeds", *(f"R@{r:g}m" for r in RADII_M), "median m", "R@40m against the reference", "ms a photo"]
    text = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    reference = next((line for line in lines if line.name == REFERENCE), lines[0])
    base = draws.means(reference.row.within(40.0)[:, None])[:, 0]
    for line in lines:
        figures = score_row(line.row, RADII_M, (), draws)
        own = draws.means(line.row.within(40.0)[:, None])[:, 0]
        less = interval(100 * float(line.row.within(40.0).mean() - reference.row.within(40.0).mean()), 100 * (own - base))
        name = f"**{line.name}**" if line is reference else f"*{line.name}*" if line.control else line.name
        text.append("| " + " | ".join([
            name, str(line.seeds) if not line.control else "", *(_words(figures.recall_at_m[r]) for r in RADII_M),
            _words(figures.median_m), "reference" if line is reference else _words(less, sign=True),
            "" if line.ms is None else f"{line.ms:.0f}"]) + " |")
    return "\n".join(text)


def _words(figure: Figure, *, sign: bool = False) -> str:
    value = f"{figure.value:+.1f}" if sign else f"{figure.value:.1f}"
    return f"{value} [{figure.low:.1f}, {figure.high:.1f}]"


def _figure(lines: dict[str, list[Line]], path: Path) -> None:
    radii: npt.NDArray[np.float64] = np.linspace(2, 100, 99)
    figure, axes = plt.subplots(1, len(lines), figsize=(12.5, 4.2), sharey=True)
    for axis, (test, rows) in zip(axes, lines.items(), strict=True):
        for line in (found for name in SHOWN for found in rows if found.name == name):
            family = line.name.split(",")[0].split(" ")[0]
            axis.plot(radii, [100 * line.row.within(float(r)).mean() for r in radii],
                      color=COLOURS.get(family, COLOURS["other"]), linewidth=2.4 if line.name == REFERENCE else 1.5,
                      linestyle={"chance": ":", "classifier": "-."}.get(family, "--" if " with " in line.name else "-"),
                      label=line.name.removesuffix(", within 40 m"))
        axis.set_title(TITLES[test].split(":")[0], fontsize=11)
        axis.set_xlabel("radius, m")
        axis.axvline(40, color="#bbbbbb", linewidth=0.8, zorder=0)
        axis.set_xlim(0, 100)
        axis.set_ylim(0, 100)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("photos within it, %")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=4, frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0.12, 1, 1))
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _commands(recipe: str) -> str:
    lines = [f"python benchmarks/accuracy/make_set.py {recipe} SETS/{recipe}"]
    for name in TRAININGS:
        lines += [f"python benchmarks/accuracy/run.py --set {recipe} {verb} {name} SETS/{recipe} RUNS --seed 0"
                  for verb in ("train", "predict")]
    lines += [f"python benchmarks/accuracy/run.py --set {recipe} controls SETS/{recipe}",
              f"python benchmarks/accuracy/run.py --set {recipe} report"]
    return ("## Commands\n\nThe last line makes this page from the stored predictions; settings and logs of the trainings are "
            f"beside them in `benchmarks/accuracy/predictions/{recipe}/logs`.\n\n```sh\n" + "\n".join(lines) + "\n```")
