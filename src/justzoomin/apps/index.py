"""`jzi index`: encode all views of a map with a model, once."""

from __future__ import annotations

from collections.abc import Callable
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
    from justzoomin.search import MapIndex, Precision


def index(
    model: Annotated[str, typer.Argument(help="Model folder or hub id.")],
    data: Annotated[str, typer.Option("--data", help="Folder of a dataset or map, or tile package.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder of the index. An incomplete index in it is continued.")],
    lazy: Annotated[bool, typer.Option(
        "--lazy", help="Make an empty index; localize and evaluate encode a view when first needed and store it.")] = False,
    fp16: Annotated[bool, typer.Option(
        "--fp16", help="Store vectors as 16-bit floats: half the size, rounded values.")] = False,
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    device: Annotated[str, typer.Option("--device", help=DEVICE_HELP)] = "auto",
    max_views: Annotated[int | None, typer.Option("--max-views", min=1, help=MAX_VIEWS_HELP)] = None,
    processes: Annotated[int, typer.Option("--processes", min=0, help="Number of processes; 0 for one per GPU.")] = 0,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Number of views to encode at once.")] = 32,
    ray: Annotated[str | None, typer.Option("--ray", help=RAY_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Encode every view of a map once, for --index of localize and evaluate.

    First prints the number of views and their size on disk, then the time left.
    The index belongs to the content of this model and this map and is refused with others.
    If it is interrupted, run the same command again: it continues.
    See docs/index.md.
    """
    from justzoomin.geometry import MAX_KEPT_VIEWS, MAX_VIEWS

    precision: Precision = "fp16" if fp16 else "fp32"
    most = max_views or (MAX_KEPT_VIEWS if lazy else MAX_VIEWS)  # an empty index needs no time yet

    def announce(views: int, size: int) -> None:
        typer.echo(f"{folder}: {views:,} views, {size / 1e6:,.1f} MB on the disk" + (" when all are encoded" if lazy else ""),
                   err=True)

    with rate_bar("views") as advance:
        def progress(done: int, total: int) -> None:
            advance(done, 0, total)

        if ray is not None:
            made = _on_cluster(ray, single_model(model), data, folder, region_option(region), precision, device, batch_size,
                               progress, most, announce, lazy=lazy, processes=processes)
        else:
            import torch

            from justzoomin.maps import Map
            from justzoomin.search import build_index

            made = build_index(
                single_model(model), Map.open(data, grid=region_option(region)), folder, precision=precision, device=device,
                batch_size=batch_size, lazy=lazy, progress=progress, max_views=most, announce=announce,
                processes=processes or (max(1, torch.cuda.device_count()) if device in {"auto", "cuda"} else 1))
    _say(made, as_json=as_json)


def _on_cluster(ray: str, model: str, data: str, folder: Path, grid: ZoomGrid | None, precision: Precision, device: str,
                batch_size: int, progress: Callable[[int, int], None], max_views: int, announce: Callable[[int, int], None], *,
                lazy: bool, processes: int) -> MapIndex:
    """Build the index with the workers of a ray cluster."""
    from justzoomin.errors import ConfigError

    if lazy or processes:
        raise ConfigError("--ray", f"it cannot be combined with {'--lazy' if lazy else '--processes'}",
                          "Leave out one of them: a lazy index needs no cluster, and a cluster sets the number of workers.")
    from justzoomin.cluster import build_index_on_cluster

    return build_index_on_cluster(ray, model, data, folder, grid, precision=precision, device=device, batch_size=batch_size,
                                  progress=progress, max_views=max_views, announce=announce)


def _say(made: MapIndex, *, as_json: bool) -> None:
    head, ready = made.head, made.count()
    size = len(made) * head.record.itemsize
    if as_json:
        print_json({"out": str(made.folder), "views": len(made), "ready": ready, "bytes": size, "width": head.width,
                    "precision": head.precision, "model": head.model, "map": head.content.digest})
        return
    out().print(f"index: {made.folder}, {ready:,} of {len(made):,} views ready, {head.width} numbers each in {head.precision}, "
                f"{size / 1e6:,.1f} MB", markup=False)
