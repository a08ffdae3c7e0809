"""`jzi data`: look into a dataset, verify it, make a synthetic one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from justzoomin.apps.console import REGION_HELP, out, print_json, region_option, stage_bars
from justzoomin.apps.synth_command import synth

app = typer.Typer(no_args_is_help=True, help="Datasets: look inside, verify, make a synthetic town.")
app.command("synth")(synth)

Root = Annotated[Path, typer.Argument(help="Folder of the dataset, as downloaded or as extracted.")]
Region = Annotated[str | None, typer.Option("--region", help=REGION_HELP)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("info")
def info(root: Root, region: Region = None, as_json: AsJson = False) -> None:
    """Show splits, counts, map levels, coverage, bytes and whom to attribute."""
    from justzoomin.data import open_dataset

    dataset = open_dataset(root, region_option(region))
    summary = dataset.map.info()
    splits = {name: len(dataset.split(name)) for name in dataset.split_paths}
    values: dict[str, Any] = {
        "root": str(root), "splits": splits, "photos": len(dataset.photos.ids()),
        "photo_bytes": dataset.photos.total_bytes(), "map": summary.to_dict(), "attribution": dataset.attribution(),
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
    from justzoomin.apps.map_commands import print_info

    print_info(summary)
    console.print(f"\n{values['attribution']}")


@app.command("verify")
def verify(
    root: Root, region: Region = None, as_json: AsJson = False,
    tiles: Annotated[bool, typer.Option(help="Decode the map's tiles as well.")] = True,
    limit: Annotated[int, typer.Option(help="Problems to print; the count is always of all.", min=0)] = 50,
) -> None:
    """Look at every record, photo and tile; exit with 1 if anything is wrong. Nothing is changed."""
    from justzoomin.data import open_dataset, verify_dataset

    dataset = open_dataset(root, region_option(region))
    with stage_bars() as advance:
        report = verify_dataset(dataset, tiles=tiles, progress=advance)
    if as_json:
        print_json({"ok": report.ok, "counts": report.counts, "kinds": report.kinds(), "problems": report.problems})
    else:
        console = out()
        console.print("looked at: " + ", ".join(f"{v:,} {k.replace('records_', 'records of ')}"
                                                for k, v in report.counts.items()), markup=False)
        for problem in report.problems[:limit]:
            typer.echo(f"{problem['kind']:<14} {problem['split']:<6} {problem['item']}: {problem['detail']}")
        if len(report.problems) > limit:
            typer.echo(f"... and {len(report.problems) - limit} more")
        kinds = ", ".join(f"{v} {k}" for k, v in report.kinds().items())
        typer.echo("no problem found" if report.ok else f"{len(report.problems)} problems: {kinds}")
    raise typer.Exit(0 if report.ok else 1)
