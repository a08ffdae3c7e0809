"""Files that `jzi localize` writes for few photos: checked before the work, written after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from justzoomin.apps.shared.console import writable_file

if TYPE_CHECKING:
    from justzoomin.search import Fix, Localizer

_RASTER_SUFFIXES = {".tif", ".tiff"}
_REGIONS = (50, 90, 95)


def check_outputs(to_file: Path | None, few: Mapping[str, Path | None], *, as_json: bool) -> None:
    """Refuse files that cannot be written or that cannot be combined.

    Args:
        to_file: The file of `--out`.
        few: The files for few photos, by option; `--figure` is one of the options.
        as_json: Whether JSON is printed.

    Raises:
        ConfigError: If so.
    """
    for option, path in {"--out": to_file, **few}.items():
        if path is not None:
            writable_file(path, option)
    figure = few["--figure"]
    if figure is not None:
        from justzoomin.figures import check_format

        check_format(figure)
    if to_file is not None:
        from justzoomin.errors import ConfigError
        from justzoomin.search import check_suffix

        check_suffix(to_file)
        if as_json or any(path is not None for path in few.values()):
            *most, last = few
            raise ConfigError("--out", f"--json, {', '.join(most)} or {last} is given as well; these are for few photos",
                              "Give only --out; it can also write .jsonl, .geojson and .gpkg files.")


def check_heatmap(heatmap: Path | None, photos: int) -> None:
    """Refuse a heat map of several photos, or one that cannot be written.

    Raises:
        ConfigError: If so.
    """
    from justzoomin.errors import ConfigError

    if heatmap is None:
        return
    if photos != 1:
        raise ConfigError("--heatmap", f"there are {photos} photos", "Give one photo.")
    if heatmap.suffix.lower() not in _RASTER_SUFFIXES:
        from justzoomin.figures import check_format

        check_format(heatmap)


def write_layers(fixes: Sequence[Fix], attribution: str | None, *, geojson: Path | None, gpkg: Path | None) -> None:
    """Write fixes for maps, as GeoJSON and as GeoPackage, and print the files' names.

    Args:
        fixes: The fixes.
        attribution: Whom to credit for the map.
        geojson: The GeoJSON file; None for none.
        gpkg: The GeoPackage; None for none.
    """
    from justzoomin.files import write_bytes
    from justzoomin.search import geopackage_bytes
    from justzoomin.spelling import json_text

    if geojson is not None:
        collection = {"type": "FeatureCollection", "features": [feature for fix in fixes for feature in fix.to_geojson()],
                      **({} if attribution is None else {"attribution": attribution})}
        write_bytes(geojson, (json_text(collection, indent=1) + "\n").encode())
        typer.echo(f"geojson: {geojson}", err=True)
    if gpkg is not None:
        features = (feature for fix in fixes for feature in fix.to_geojson(_REGIONS))
        typer.echo(f"gpkg: {write_bytes(gpkg, geopackage_bytes(features, attribution))}", err=True)


def write_heat_map(fix: Fix, localizer: Localizer, path: Path) -> Path:
    """Write the posterior of the photo of a fix as a raster or a picture, by the file's extension; return its path."""
    assert fix.photo is not None
    posterior = localizer.localize_posterior(fix.photo)
    if path.suffix.lower() in _RASTER_SUFFIXES:
        from justzoomin.posterior.rasters import write_heat_raster

        return write_heat_raster(posterior, localizer.map.layout.crs, path, localizer.map.attribution)
    from justzoomin.figures import heat_figure

    return heat_figure(fix, posterior, localizer, path)
