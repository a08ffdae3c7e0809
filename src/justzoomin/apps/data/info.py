"""`jzi data info`: print what a dataset holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from justzoomin.apps.shared.console import REGION_HELP, out, print_json, region_option

Root = Annotated[Path, typer.Argument(help="Folder of the dataset, as downloaded or extracted.")]
Region = Annotated[str | None, typer.Option("--region", help=REGION_HELP)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def info(root: Root, region: Region = None, as_json: AsJson = False) -> None:
    """Print splits, counts, map levels, coverage, bytes and whom to credit."""
    from justzoomin.data import open_dataset

    dataset = open_dataset(root, region_option(region))
    summary = dataset.map.info()
    splits = {name: len(dataset.split(name)) for name in dataset.split_paths}
    values: dict[str, Any] = {
        "root": str(root), "splits": splits, "photos": len(dataset.photos.ids()),
        "photo_bytes": sum(dataset.photos.sizes().values()), "map": summary.to_dict(), "attribution": dataset.attribution(),
    }
    if as_json:
        print_json(values)
        return
    from rich.table import Table

    console = out()
    table = Table("split", "photos", "file", title=f"Splits of {root}")
    for name, count in splits.items():
        table.add_row(name, f"{count:,}", str(dataset.split_paths[name].relative_to(root)))
    console.print(table)
    console.print(f"photos: {values['photos']:,}, {values['photo_bytes'] / 1e6:,.1f} MB")
    from justzoomin.apps.map.info import print_info

    print_info(summary)
    console.print(f"\n{values['attribution']}")
