"""`jzi grid`: positions to sequences and back."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from justzoomin.apps.shared.console import print_json

app = typer.Typer(no_args_is_help=True, help="Positions to zoom sequences, and sequences to cells.")

Region = Annotated[str, typer.Option("--region", help="A region.yaml or the name of a preset.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]



# A negative longitude must not be taken for an option.
@app.command("encode", context_settings={"ignore_unknown_options": True})
def encode(
    lat: Annotated[float, typer.Argument(help="Latitude in degrees, WGS 84.")],
    lon: Annotated[float, typer.Argument(help="Longitude in degrees.")],
    region: Region = "dc", as_json: AsJson = False,
) -> None:
    """Print the sequence of actions that zooms to a position, such as 7,6,6,5."""
    from justzoomin.geometry import find_grid, format_sequence

    grid = find_grid(region)
    sequence = tuple(int(a) for a in grid.encode(lat, lon)[0])
    if as_json:
        print_json({"lat": lat, "lon": lon, "sequence": list(sequence), "cell_size_m": grid.cell_size_m(grid.depth)})
    else:
        typer.echo(format_sequence(sequence))


@app.command("decode")
def decode(
    sequence: Annotated[str, typer.Argument(help="Actions such as 7,6,6,5; fewer than the depth give a larger cell.")],
    region: Region = "dc", as_json: AsJson = False,
) -> None:
    """Print centre, size and corners of the cell that a sequence leads to."""
    from justzoomin.geometry import find_grid, parse_sequence

    cell = find_grid(region).cell(parse_sequence(sequence))
    names = ("north_west", "north_east", "south_east", "south_west")
    corners: dict[str, Any] = {n: list(c) for n, c in zip(names, cell.corners, strict=True)}
    if as_json:
        print_json({"sequence": list(cell.sequence), "lat": cell.centre.lat, "lon": cell.centre.lon, "size_m": cell.size_m,
                    "corners": corners})
        return
    typer.echo(f"centre      {cell.centre.lat:.6f} {cell.centre.lon:.6f}")
    typer.echo(f"size        {cell.size_m:g} m")
    for name, (lat, lon) in corners.items():
        typer.echo(f"{name.replace('_', ' '):<11} {lat:.6f} {lon:.6f}")
