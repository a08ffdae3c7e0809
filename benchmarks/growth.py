"""How the cost of a query grows with the region: zooming with a lazy index against flat retrieval over all terminal cells.

    python benchmarks/growth.py            # flat retrieval up to 40 km; a minute or two; prints
    python benchmarks/growth.py --full     # flat retrieval up to 160 km; about ten minutes; writes docs/growth.md and its chart

Tiles are simulated: a view's vector follows from its number, and drawing and encoding cost nothing. The search is real.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import faiss
import torch

from flat import PROBES, Flat
from growth_page import FlatFigures, Growth, write_page
from simulated import Matching, Zooming, photo_encoder, region_grid, visited, zoom_model
from timing import Row, Section, in_turns

DEPTHS = (3, 4, 5, 6)
QUERIES = 64
SINGLES = 2
"""Queries of the single-query latency in a turn: few, so that what the machine does meanwhile hits all regions alike."""
BEST_QUERIES = 16
"""Queries of a batch for the matcher's search."""
WANTED_GROWTH = 1.25
"""Sixteen times the area may cost zooming this much."""


def measure(folder: Path, flat_depth: int, rounds: int = 7) -> tuple[list[Growth], float]:
    """Measure all regions in turns, flat retrieval for those of at most `flat_depth`; and milliseconds to encode a photo."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    try:
        model = zoom_model()
        zooms = {depth: Zooming(model, depth, folder / f"index-{depth}", QUERIES) for depth in DEPTHS}
        zooms[DEPTHS[0]].singles(1)  # the first call of all sets torch up
        bests = {depth: Matching(region_grid(depth), BEST_QUERIES) for depth in DEPTHS}
        first = {depth: 1000 * _seconds(zoom.batch) / QUERIES for depth, zoom in zooms.items()}
        flats = {depth: Flat(depth, QUERIES) for depth in DEPTHS if depth <= flat_depth}
        encoder, photo = photo_encoder(), torch.rand(2, 3, 384, 384)  # the halves of one
        singles = {f"zoom {depth} one": lambda zoom=zoom: zoom.singles(SINGLES) for depth, zoom in zooms.items()}
        rivals: dict[str, Callable[[], object]] = {"photo": lambda: encoder(photo)}
        rivals.update({f"zoom {depth} batch": zoom.batch for depth, zoom in zooms.items()})
        for depth, best in bests.items():
            rivals[f"best {depth} one"] = lambda best=best: best.search(1)
            rivals[f"best {depth} batch"] = lambda best=best: best.search(BEST_QUERIES)
        for depth, flat in flats.items():
            if flat.exact is not None:
                rivals[f"exact {depth} one"] = lambda flat=flat: _one_by_one(flat.exact, flat, SINGLES)
                rivals[f"exact {depth} batch"] = lambda flat=flat: flat.exact.search(flat.queries, 1)
            rivals[f"ivf {depth} one"] = lambda flat=flat: _one_by_one(flat.ivf, flat, QUERIES)
            rivals[f"ivf {depth} batch"] = lambda flat=flat: flat.ivf.search(flat.queries, 1)
        with torch.inference_mode():
            times = {**in_turns(singles, 6 * rounds), **in_turns(rivals, rounds)}
    finally:
        torch.set_num_threads(threads)
        faiss.omp_set_num_threads(os.cpu_count() or 1)

    def each(name: str, queries: int = QUERIES) -> float:
        return 1000 * statistics.median(times[name]) / queries

    def flat_figures(depth: int, flat: Flat) -> FlatFigures:
        kept = flat.exact is not None
        return FlatFigures(
            exact_one=each(f"exact {depth} one", SINGLES) if kept else 1000 * (flat.scan_one_s or 0.0),
            exact_batch=each(f"exact {depth} batch") if kept else 1000 * (flat.scan_batch_s or 0.0) / QUERIES,
            ivf_one=each(f"ivf {depth} one"), ivf_batch=each(f"ivf {depth} batch"), lists=flat.lists, recall=flat.recall(),
            fill_s=flat.fill_s, exact_bytes=flat.exact_bytes, ivf_bytes=flat.ivf_bytes)

    return [Growth(
        depth=depth, cells=16**depth, views=zoom.views, zoom_one=each(f"zoom {depth} one", SINGLES),
        zoom_batch=each(f"zoom {depth} batch"), zoom_first=first[depth], encoded=zoom.encoded,
        spread=(visited(depth, 1), visited(depth, 100), visited(depth, 10_000)), lazy_bytes=zoom.disk_bytes,
        index_bytes=zoom.index_bytes, best_one=each(f"best {depth} one", 1),
        best_batch=each(f"best {depth} batch", BEST_QUERIES), best_bytes=bests[depth].disk_bytes,
        flat=flat_figures(depth, flats[depth]) if depth in flats else None)
        for depth, zoom in zooms.items()], each("photo", 1)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _one_by_one(index: faiss.Index, flat: Flat, count: int) -> None:
    for query in flat.queries[:count]:
        index.search(query[None], 1)


def section(found: list[Growth], photo_ms: float) -> Section:
    """Return the comparisons for docs/benchmarks.md."""
    result = Section("Growth")
    for small, large in pairwise(found):
        result.rows.append(Row(
            f"zooming at {large.edge_km:g} km against {small.edge_km:g} km", large.zoom_one, small.zoom_one, "ms a query",
            "sixteenth of the area", wanted=1 / WANTED_GROWTH,
            note=f"search alone, one query, one thread; {large.zoom_batch / small.zoom_batch:.2f} times the time in batches of "
                 f"{QUERIES}"))
        result.rows.append(Row(
            "the same with the photo's encoding", large.zoom_one + photo_ms, small.zoom_one + photo_ms, "ms a query",
            "sixteenth of the area", wanted=1 / WANTED_GROWTH,
            note=f"{photo_ms:.0f} ms for the photo, an encoder of the shape of DINOv2-small, 384 px"))
    for one in found:
        if one.flat is not None and one.depth >= 5:
            result.rows.append(Row(f"zooming against an exact scan at {one.edge_km:g} km", one.zoom_one, one.flat.exact_one,
                                   "ms a query", f"faiss, {one.cells} cells of width 128", note="one query, one thread"))
            result.rows.append(Row(f"the same in batches of {QUERIES}", one.zoom_batch, one.flat.exact_batch, "ms a query",
                                   "the same"))
            result.rows.append(Row(f"zooming against an inverted file at {one.edge_km:g} km", one.zoom_one, one.flat.ivf_one,
                                   "ms a query", f"faiss, {one.flat.lists} lists, {PROBES} looked through",
                                   note=f"recall {one.flat.recall:.2f}; all {one.cells} cells were encoded before"))
    last = found[-1]
    result.remarks.append(
        f"After 10 000 photos spread evenly over 160 km the lazy index holds {last.spread[2]} views; flat retrieval needs the "
        f"vectors of all {last.cells} cells before the first photo. [Growth](growth.md) has all figures and what was left out.")
    return result


def run(folder: Path) -> Section:
    """Return the quick measurement: flat retrieval up to 40 km."""
    return section(*measure(folder, flat_depth=5))


def main() -> None:
    """Measure, print, and write the page where everything was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="flat retrieval at 160 km too, then write the page and the chart")
    parser.add_argument("--docs", type=Path, default=Path(__file__).resolve().parents[1] / "docs", help="where the page goes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        found, photo_ms = measure(Path(folder), flat_depth=6 if options.full else 5)
    for row in section(found, photo_ms).rows:
        print(row.text())
    for one in found:
        print(one)
    if options.full:
        machine = f"{os.cpu_count()} cores ({platform.machine()}), torch {torch.__version__}, faiss {faiss.__version__}"
        print(write_page(found, photo_ms, options.docs, machine, QUERIES, PROBES))


if __name__ == "__main__":
    main()
