"""`jzi visualize`: draw how photos were localized."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from justzoomin.apps.shared.console import DEVICE_HELP, REGION_HELP, progress_bar, region_option, single_model, writable_file


def visualize(
    model: Annotated[str, typer.Argument(help="Model folder or hub id.")],
    data: Annotated[Path, typer.Option("--data", help="Folder of the dataset.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the pictures.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Number of photos, spread evenly over the split.")] = 10,
    split: Annotated[str, typer.Option("--split", help="Name of the split.")] = "val",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the choice of photos.")] = 0,
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    device: Annotated[str, typer.Option("--device", help=DEVICE_HELP)] = "auto",
) -> None:
    """Draw panels and zoom GIFs of some photos, an overview on the map, and a sheet of all of them."""
    from justzoomin.data import open_dataset
    from justzoomin.figures import visualize as draw

    writable_file(out / "sheet.png", "--out")
    dataset = open_dataset(data, region_option(region))
    with progress_bar("photos") as advance:
        written = draw(single_model(model), dataset, out, split=split, count=count, seed=seed, device=device, progress=advance)
    for path in written:
        typer.echo(str(path))
