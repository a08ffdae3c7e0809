"""`jzi grid`: convert positions to zoom sequences and back."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from justzoomin.apps.shared.console import print_json
from justzoomin.apps.shared.lazy import command

app = typer.Typer(no_args_is_help=True, help="Convert positions to zoom sequences and back.")

Region = Annotated[str, typer.Option("--region", help="Zoom grid to use: a region.yaml or the name of a preset (dc).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]



# A negative longitude must not be read as an option.
@command(app, "encode", context_settings={"ignore_unknown_options": True})
def encode(
    lat: Annotated[float, typer.Argument(help="Latitude in degrees, WGS 84.")],
    lon: Annotated[float, typer.Argument(help="Longitude in degrees, WGS 84.")],
    region: Region = "dc", as_json: AsJson = False,
) -> None:
    """Print the sequence of zoom actions that leads to a position, such as 7,6,6,5."""
    from justzoomin.geometry import find_grid, format_sequence

    grid = find_grid(region)
    sequence = tuple(int(a) for a in grid.encode(lat, lon)[0])
    if as_json:
        print_json({"lat": lat, "lon": lon, "sequence": list(sequence), "cell_size_m": grid.cell_size_m(grid.depth)})
    else:
        typer.echo(format_sequence(sequence))


@command(app, "decode")
def decode(
    sequence: Annotated[str, typer.Argument(help="Actions such as 7,6,6,5; fewer actions than the depth give a larger cell.")],
    region: Region = "dc", as_json: AsJson = False,
) -> None:
    """Print the centre, size and corners of the cell that a sequence leads to."""
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
