"""`jzi data card`: write the card of a dataset, with samples, as the published dataset has one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from justzoomin.apps.shared.console import REGION_HELP, region_option


def card(
    root: Annotated[Path, typer.Argument(help="Folder of the dataset.")], *,
    licence: Annotated[str, typer.Option("--license", help="Licence of the whole dataset, as the hub spells it (cc-by-4.0). "
                                                           "Default: what its README.md states.")] = "",
    title: Annotated[str, typer.Option(help="Title. Default: what its README.md states, or the folder's name.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Replace a README.md that exists.")] = False,
    samples: Annotated[int, typer.Option(help="Number of photos on the sheet of samples.", min=1, max=40)] = 12,
    seed: Annotated[int, typer.Option(help="Seed of the choice of photos.")] = 0,
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
) -> None:
    """Write a dataset's card (README.md), a sheet of samples, a zoom, and Parquet files beside its CSV tables."""
    from justzoomin.data import open_dataset
    from justzoomin.publishing import write_dataset_card

    dataset = open_dataset(root, region_option(region))
    for path in write_dataset_card(dataset, licence=licence, title=title, replace=replace, samples=samples, seed=seed):
        typer.echo(f"wrote {path}")
