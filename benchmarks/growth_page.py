"""What `growth` measured, and its page: docs/growth.md and the chart in it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path


@dataclass
class FlatFigures:
    """Flat retrieval over one region's terminal cells; milliseconds a query, one thread.

    Attributes:
        exact_one: Exact scan, one query at a time.
        exact_batch: Exact scan of `QUERIES` queries at once.
        ivf_one: Inverted file, one query at a time.
        ivf_batch: Inverted file, `QUERIES` at once.
        lists: Lists of the inverted file.
        recall: Share of the queries whose nearest cell it finds.
        fill_s: Seconds to train and fill it.
        exact_bytes: Size of the exact index.
        ivf_bytes: Size of the inverted file.
    """

    exact_one: float
    exact_batch: float
    ivf_one: float
    ivf_batch: float
    lists: int
    recall: float
    fill_s: float
    exact_bytes: int
    ivf_bytes: int


@dataclass
class Growth:
    """What was measured for one region. Times are milliseconds a query, one thread.

    Attributes:
        depth: Depth of the grid.
        cells: Terminal cells.
        views: Views of the grid.
        zoom_one: Zooming, one query at a time, the index holding what it needs.
        zoom_batch: The same for `QUERIES` queries at once.
        zoom_first: Zooming, `QUERIES` at once, into an index that holds nothing yet; drawing and encoding views left out.
        encoded: Views that the index holds after these queries.
        spread: Views that it holds after 1, 100 and 10 000 photos spread evenly over the region.
        lazy_bytes: Room on the disk that it takes after these queries.
        index_bytes: Room that the whole index takes.
        best_one: The search of a ray matcher, one photo at a time.
        best_batch: The same for 16 photos at once.
        best_bytes: Room that the described map takes.
        flat: Flat retrieval; None where it was left out.
    """

    depth: int
    cells: int
    views: int
    zoom_one: float
    zoom_batch: float
    zoom_first: float
    encoded: int
    spread: tuple[int, int, int]
    lazy_bytes: int
    index_bytes: int
    best_one: float
    best_batch: float
    best_bytes: int
    flat: FlatFigures | None = None

    @property
    def edge_km(self) -> float:
        """Edge of the region."""
        return 0.0390625 * 4**self.depth

    @property
    def record(self) -> int:
        """Room that a view takes in the index."""
        return self.index_bytes // self.views


def write_page(found: list[Growth], photo_ms: float, docs: Path, machine: str, queries: int, probes: int) -> Path:
    """Write the page and its chart.

    Args:
        found: All regions, smallest first, flat retrieval measured for each.
        photo_ms: Milliseconds to encode a photo.
        docs: Folder of the page; the chart goes into `images` in it.
        machine: What it ran on.
        queries: Queries of a batch.
        probes: Lists of the inverted file that a query looks through.
    """
    draw_chart(found, docs / "images" / "growth.png")
    path = docs / "growth.md"
    path.write_text(page(found, photo_ms, machine, queries, probes), encoding="utf-8")
    return path


def page(found: list[Growth], photo_ms: float, machine: str, queries: int, probes: int) -> str:
    """Return the page's Markdown."""
    time_rows = [[f"{one.edge_km:g} km", str(one.depth), _count(one.cells), f"{one.zoom_one:.1f}", f"{one.zoom_batch:.1f}",
                  _ms(one.best_one), _ms(one.best_batch),
                  *((_ms(f.exact_one), _ms(f.exact_batch), f"{f.ivf_one:.2g}", f"{f.ivf_batch:.2g}", f"{f.recall:.2f}")
                    if (f := one.flat) else ("",) * 5)] for one in found]
    growth_rows = [[f"{a.edge_km:g} to {b.edge_km:g} km", _times(b.zoom_one, a.zoom_one), _times(b.zoom_batch, a.zoom_batch),
                    _times(b.zoom_one + photo_ms, a.zoom_one + photo_ms),
                    f"{b.depth / a.depth:.2f}", _times(b.best_one, a.best_one), _times(b.best_batch, a.best_batch),
                    *((_times(b.flat.exact_one, a.flat.exact_one), _times(b.flat.ivf_one, a.flat.ivf_one))
                      if a.flat and b.flat else ("", ""))] for a, b in pairwise(found)]
    memory_rows = [[f"{one.edge_km:g} km", _count(one.views), *map(_count, one.spread), _bytes(one.record * one.spread[2]),
                    _bytes(one.index_bytes), _bytes(one.best_bytes),
                    *((_bytes(f.exact_bytes), _bytes(f.ivf_bytes), f"{f.fill_s:.1f} s") if (f := one.flat) else ("",) * 3)]
                   for one in found]
    times = _table(["region", "depth", "terminal cells", "zooming, alone", "zooming, batch", "`best`, alone", "`best`, batch",
                    "exact, alone", "exact, batch", "IVF, alone", "IVF, batch", "IVF recall"], time_rows)
    growth = _table(["step", "zooming, alone", "zooming, batch", "alone, photo encoded", "steps", "`best`, alone",
                     "`best`, batch", "exact, alone", "IVF, alone"], growth_rows)
    memory = _table(["region", "views", "held after 1 photo", "after 100", "after 10 000", "lazy index then", "whole index",
                     "`best`, described map", "exact index", "IVF", "IVF filled in"], memory_rows)
    last = found[-1]
    lists = ", ".join(str(one.flat.lists) for one in found if one.flat)
    whole = _bytes(last.flat.exact_bytes) if last.flat else "more than there was"
    return f"""# Growth

After this page you know what a query costs when the region grows.
Measured on regions of 2.5, 10, 40 and 160 km with terminal cells of 39.0625 m: sixteen times
the area is one step of zooming more, and sixteen times as many cells for retrieval to look through.
`python benchmarks/growth.py --full` measures this and writes this page.

![Time and memory against the region's edge](images/growth.png)

## Time

Milliseconds a query, one thread, medians of rounds in turns; alone, and in batches of {queries}, of 16 for `best`.
The photo's encoding, which both ways need, is left out.

{times}

Sixteen times the area costs (wanted: at most x 1.25):

{growth}

Zooming alone reads the decoder's weights once for the photo and once for each step: depth + 1 readings, so 5/4, 6/5 and 7/6
are to be expected. In batches arithmetic counts, and its law is the number of tokens: 8/6, 10/8, 12/10. So the search alone is
at its worst from 2.5 to 10 km. The photo costs the same at every depth: {photo_ms:.0f} ms with an encoder of the shape of
DINOv2-small at 384 px, on the same thread. With it counted in, the region's size hardly shows.

`best` is [the search of the ray matcher](city-search.md): it compares poses, not vectors of cells, and is the only one of the
four that works on new ground. From 10 km on it grows slowly, because a larger region starts on a coarser level: from there
four times the area costs the square root of the factors above.
At 160 km only the search is counted: a posterior over so many cells would not fit into memory.

An exact scan grows with the number of cells, and zooming alone overtakes it between 40 and 160 km, in batches before 40 km.
An inverted file grows with the root of the number, faster where it has fewer lists than the root, as at 160 km here, so
that it can be filled in minutes. Its search is the fastest at every size. What it needs is the vectors of all
cells.

## Views and memory

{memory}

Zooming with a [lazy index](speed.md) encodes a view when the first photo's path leads to it. The first photo pays for as many
views as the grid is deep, later ones for those that nobody looked at before. The counts are of photos spread evenly over the
region, the worst case: photos of one town share more. Flat retrieval encodes every terminal cell before its first answer:
{_count(last.cells)} at 160 km. At 100 ms a view that is {last.cells * 0.1 / 86400:.0f} days on one such core, against
{last.depth * 0.1:.1f} s for the first photo by zooming. A whole zooming index has a fifteenth as many vectors as there are
terminal cells.

Sizes are those of vectors and their marks. On the disk a view that lies alone takes a page of 4 kB: the {last.encoded} views
that {queries} queries needed at 160 km took {_bytes(last.lazy_bytes)}.

## What was measured, and how

- Machine: {machine}; one thread. Shared machines are noisy: ratios say more than milliseconds.
- Tiles are simulated: the vector of a view follows from its number, and drawing and encoding cost nothing. The rest of
  zooming is real: `greedy`, the published decoder (6 blocks, width 768, fresh weights) behind vectors of 128, and the index on
  the disk. Fresh weights say nothing about accuracy, and nothing here does: it is about cost alone.
- The map that `best` searches is simulated too: random numbers in place of descriptions. The search is that of the packaged
  model, with its full budget of 64 tiles a level. `python benchmarks/matching.py` has smaller regions and memory.
- Vectors are 128 wide, a sixth of the published model's, in fp32 (zooming, exact scan) and fp16 (inverted file). Wider ones of
  160 km do not fit into the memory. This favours flat retrieval, whose scan costs in proportion to the width; the decoder's
  cost does not change with it.
- Vectors of cells for retrieval are sums of random vectors of the cell and of all cells above it, so neighbours are alike.
  Queries are cells' vectors with noise. The recall of the inverted file is the share of queries for which it finds what the
  exact scan finds, with {probes} lists looked through of {lists}. Pictures are less tidy: expect less.
- The exact scan of 160 km was done in 16 parts one after the other, each made, scanned and let go, and the times added:
  whole it would take {whole}.
- The regions lie at the equator. A grid of 160 km with such cells is refused farther from it, because the charts of
  neighbouring cells then disagree by more than half a cell ([Conventions](conventions.md#slivers)).
"""


def draw_chart(found: list[Growth], path: Path) -> Path:
    """Two panels over the region's edge, all axes logarithmic: time and memory."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullLocator

    figure = Figure(figsize=(9.6, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    flat = [(one.edge_km, one.flat) for one in found if one.flat]
    edges, flat_edges = [one.edge_km for one in found], [edge for edge, _ in flat]
    zoom, exact, ivf, best = "#1b6ca8", "#c0392b", "#d98e04", "#3a7d44"
    lines = {
        left: [("zooming", edges, [one.zoom_one for one in found], zoom, "o-"),
               ("best", edges, [one.best_one for one in found], best, "D-"),
               ("exact scan", flat_edges, [f.exact_one for _, f in flat], exact, "s-"),
               ("inverted file", flat_edges, [f.ivf_one for _, f in flat], ivf, "^-")],
        right: [("zooming, after 10 000 photos", edges, [one.record * one.spread[2] / 1e6 for one in found], zoom, "o-"),
                ("zooming, whole index", edges, [one.index_bytes / 1e6 for one in found], zoom, "o:"),
                ("best, described map", edges, [one.best_bytes / 1e6 for one in found], best, "D-"),
                ("exact scan", flat_edges, [f.exact_bytes / 1e6 for _, f in flat], exact, "s-"),
                ("inverted file, fp16", flat_edges, [f.ivf_bytes / 1e6 for _, f in flat], ivf, "^-")]}
    for panel, title in ((left, "Search of one query, milliseconds"), (right, "Vectors held, megabytes")):
        for label, x, y, colour, style in lines[panel]:
            panel.plot(x, y, style, color=colour, label=label, linewidth=1.8, markersize=5)
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_title(title, loc="left", fontsize=11)
        panel.set_xlabel("edge of the region, km")
        panel.set_xticks(edges)
        panel.xaxis.set_minor_locator(NullLocator())
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}".replace(",", " ")))
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    return path


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _count(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _ms(time: float) -> str:
    return _count(round(time)) if time >= 100 else f"{time:.2g}"


def _times(large: float, small: float) -> str:
    return f"x {large / small:.2f}"


def _bytes(size: float) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB" if size >= 1e6 else f"{size / 1e3:.3g} kB"
