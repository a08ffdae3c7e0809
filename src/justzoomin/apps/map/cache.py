"""`jzi map cache`: draw all views of a region once and store them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from justzoomin.apps.shared.console import (
    MAX_VIEWS_HELP,
    PIXELS_HELP,
    REGION_HELP,
    VIEWS_PRESET_HELP,
    err,
    print_json,
    rate_bar,
    region_option,
    stage_bars,
    view_pixels,
)

if TYPE_CHECKING:
    from justzoomin.maps import ViewCacheBuild


def cache(
    root: Annotated[str, typer.Argument(metavar="MAP", help="Folder of a map or dataset, or tile package.")], *,
    pixels: Annotated[int | None, typer.Option(min=1, help=PIXELS_HELP)] = None,
    preset: Annotated[str | None, typer.Option("--preset", help=f"Instead of --pixels: {VIEWS_PRESET_HELP}")] = None,
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    to: Annotated[Path | None, typer.Option("--out", help="Folder of the cache. Default: .jzi-views in the map's folder, "
                                            "where other commands find it.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Number of threads. Default: one per core.")] = None,
    max_views: Annotated[int | None, typer.Option("--max-views", min=1, help=MAX_VIEWS_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Draw all views that a search of the region can use and store their pixels.

    First prints the number of views and their size on disk, then the time left.
    Training, evaluation and jzi localize then read the views from the cache, as long as the map's tiles do not change.
    If it is stopped or killed, run the same command again: it continues.
    If the cache is complete, the command checks it.
    """
    import time

    from justzoomin.geometry import MAX_VIEWS
    from justzoomin.maps import Map, ViewCacheBuild

    source = Map.open(root, region_option(region))
    start, edge = time.monotonic(), view_pixels(pixels, preset)
    with stage_bars() as advance:
        build = ViewCacheBuild(source, pixels=edge, out=to, progress=advance, max_views=max_views or MAX_VIEWS)
    existed = build.exists
    err().print(_plan(build), markup=False)
    with rate_bar("views") as bar:
        made = build.run(workers, _pace(bar))
    values = {"folder": str(made.folder), "views": len(made), "pixels": edge, "bytes": build.bytes, "existed": existed,
              "seconds": round(time.monotonic() - start, 1), "content": made.head.content.digest,
              "others": [str(path) for path in build.others]}
    if as_json:
        print_json(values)
        return
    typer.echo(f"{made.folder}: {len(made):,} views of {edge} px" + (", all intact" if existed else ""))
    for path in build.others:
        typer.echo(f"cache of other tiles, may be deleted: {path}")


def _pace(bar: Callable[[int, int, int], None]) -> Callable[[str, int, int], None]:
    """Return a progress function that counts views which only had to be checked as done before."""
    before = 0

    def advance(stage: str, done: int, total: int) -> None:
        nonlocal before
        before = done if stage == "checks" else before
        bar(done, before, total)

    return advance


def _plan(build: ViewCacheBuild) -> str:
    """Return what will be done, as a line."""
    size = f"{build.head.count:,} views of {build.head.pixels} px, {build.bytes / 1e6:,.1f} MB on the disk"
    return f"{build.folder}: {size}" + (", exists: checking it" if build.exists else "")
