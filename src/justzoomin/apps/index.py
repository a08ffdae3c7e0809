"""`jzi index`: encode a map with a model, once."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from justzoomin.apps.shared.console import (
    DEVICE_HELP,
    MAX_VIEWS_HELP,
    RAY_HELP,
    REGION_HELP,
    out,
    print_json,
    rate_bar,
    region_option,
    single_model,
)

if TYPE_CHECKING:
    from justzoomin.geometry import ZoomGrid
    from justzoomin.search import Announce, IndexPlan, MapIndex, Precision, Progress


def index(
    model: Annotated[str, typer.Argument(help="Model folder or hub id.")],
    data: Annotated[str, typer.Option("--data", help="Folder of a dataset or map, or tile package.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder of the index. An incomplete index in it is continued.")],
    lazy: Annotated[bool, typer.Option(
        "--lazy", help="Make an empty index; localize and evaluate add a view, or a piece of map, when first needed.")] = False,
    fp16: Annotated[bool, typer.Option(
        "--fp16", help="Store vectors of views as 16-bit floats: half the size, rounded values.")] = False,
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    device: Annotated[str, typer.Option("--device", help=DEVICE_HELP)] = "auto",
    max_views: Annotated[int | None, typer.Option("--max-views", min=1, help=MAX_VIEWS_HELP)] = None,
    processes: Annotated[int, typer.Option("--processes", min=0, help="Number of processes; 0 for one per GPU.")] = 0,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Number of views to encode at once.")] = 32,
    ray: Annotated[str | None, typer.Option("--ray", help=RAY_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Encode a map once, for --index of localize and evaluate.

    For most models that is every view of the map. For a matcher that answers alone it is the map itself, described in pieces;
    its views are added when localize or evaluate needs them. For a matcher beside a zoomer it is both.
    First prints the numbers of views and pieces and their size on disk, then the time left.
    The index belongs to the content of this model and this map and is refused with others.
    If it is interrupted, run the same command again: it continues.
    See docs/map-index.md.
    """
    began = time.monotonic()
    precision: Precision = "fp16" if fp16 else "fp32"

    def announce(plan: IndexPlan) -> None:
        def say(count: int, what: str, size: int, later: str) -> None:
            typer.echo(f"{folder}: {count:,} {what}, {size / 1e6:,.1f} MB on the disk{later}", err=True)

        say(plan.views, "views", plan.view_bytes, "" if plan.encode else " when all are encoded")
        if plan.pieces:
            say(plan.pieces, "pieces of map", plan.piece_bytes, "" if plan.describe else " when all are described")

    with ExitStack() as shown:
        progress, describing = _bar(shown, "views"), _bar(shown, "pieces of map")
        if ray is not None:
            made = _on_cluster(ray, single_model(model), data, folder, region_option(region), precision, device, batch_size,
                               progress, describing, max_views, announce, lazy=lazy, processes=processes)
        else:
            import torch

            from justzoomin.maps import Map
            from justzoomin.search import build_index

            made = build_index(
                single_model(model), Map.open(data, grid=region_option(region)), folder, precision=precision, device=device,
                batch_size=batch_size, lazy=lazy, progress=progress, describing=describing, max_views=max_views,
                announce=announce,
                processes=processes or (max(1, torch.cuda.device_count()) if device in {"auto", "cuda"} else 1))
    _say(made, time.monotonic() - began, as_json=as_json)


def _bar(shown: ExitStack, label: str) -> Progress:
    """Return a progress bar that is shown from its first call on, and ends the one before it."""
    advance: Callable[[int, int, int], None] | None = None

    def progress(done: int, total: int) -> None:
        nonlocal advance
        if advance is None:
            shown.close()
            advance = shown.enter_context(rate_bar(label))
        advance(done, 0, total)

    return progress


def _on_cluster(ray: str, model: str, data: str, folder: Path, grid: ZoomGrid | None, precision: Precision, device: str,
                batch_size: int, progress: Progress, describing: Progress, max_views: int | None, announce: Announce, *,
                lazy: bool, processes: int) -> MapIndex:
    """Build the index with the workers of a ray cluster."""
    from justzoomin.errors import ConfigError

    if lazy or processes:
        raise ConfigError("--ray", f"it cannot be combined with {'--lazy' if lazy else '--processes'}",
                          "Leave out one of them: a lazy index needs no cluster, and a cluster sets the number of workers.")
    from justzoomin.cluster import build_index_on_cluster

    return build_index_on_cluster(ray, model, data, folder, grid, precision=precision, device=device, batch_size=batch_size,
                                  progress=progress, describing=describing, max_views=max_views, announce=announce)


def _say(made: MapIndex, seconds: float, *, as_json: bool) -> None:
    from justzoomin.search import described

    head, ready, ground = made.head, made.count(), described(made.folder)
    size = len(made) * head.record.itemsize
    if as_json:
        pieces = {} if ground is None else {"pieces": ground.pieces, "pieces_ready": ground.ready, "piece_bytes": ground.size}
        print_json({"out": str(made.folder), "views": len(made), "ready": ready, "bytes": size, "width": head.width,
                    "precision": head.precision, **pieces, "seconds": seconds, "model": head.model, "map": head.content.digest})
        return
    out().print(f"index: {made.folder}, {ready:,} of {len(made):,} views ready, {head.width} numbers each in {head.precision}, "
                f"{size / 1e6:,.1f} MB", markup=False)
    if ground is not None:
        out().print(f"described map: {ground.ready:,} of {ground.pieces:,} pieces ready, {ground.size / 1e6:,.1f} MB",
                    markup=False)
    out().print(f"time: {seconds:,.1f} s", markup=False)
