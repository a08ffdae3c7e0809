"""`GET /v1/map`: what the service knows: region, levels, model, limits, examples."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse

from justzoomin.apps.server.problems import ProblemError
from justzoomin.apps.server.settings import ServeSettings
from justzoomin.apps.server.tile_service import TileService
from justzoomin.data import photo_files
from justzoomin.search import Localizer
from justzoomin.service import bounds_of
from justzoomin.untrusted import printable

MAX_EXAMPLES = 24
TRUTH = "examples.csv"
"""Table beside the example photos: photo, lat, lon."""


def examples_in(folder: Path | None) -> list[dict[str, Any]]:
    """Return the example photos of a folder, with their true places where `examples.csv` tells them."""
    if folder is None:
        return []
    table: dict[str, dict[str, str]] = {}
    if (folder / TRUTH).is_file():
        with (folder / TRUTH).open(newline="", encoding="utf-8") as file:
            table = {row["photo"]: row for row in csv.DictReader(file)}
    found = []
    for path in [path for path in photo_files(folder)[0] if path.parent == folder][:MAX_EXAMPLES]:
        truth = table.get(path.name)
        lat, lon = (None, None) if truth is None else (float(truth["lat"]), float(truth["lon"]))
        found.append({"name": printable(path.stem, 60), "file": path.name, "lat": lat, "lon": lon})
    return found


def map_routes(localizer: Localizer, tiles: TileService, settings: ServeSettings, examples: Path | None) -> APIRouter:
    """Return the routes that describe the map and give example photos.

    Args:
        localizer: Model and map.
        tiles: The tiles of the map.
        settings: The limits.
        examples: Folder of example photos.
    """
    router, grid = APIRouter(tags=["map"]), localizer.grid
    shown = examples_in(examples)
    files = {one["file"] for one in shown}

    @router.get("/v1/map", summary="Describe map, model and limits")
    def described(request: Request) -> dict[str, Any]:
        root, region, asked = request.scope.get("root_path", ""), grid.region, localizer.answering.posteriors
        return {
            "name": Path(localizer.map.name).name, "attribution": localizer.map.attribution,
            "grid": {"lat": region.centre.lat, "lon": region.centre.lon, "size_m": region.size_m, "grid": grid.grid,
                     "depth": grid.depth, "cell_sizes_m": [grid.cell_size_m(level) for level in range(grid.depth + 1)]},
            "bounds": bounds_of(grid.cell(())), "map": localizer.map_hash, "model": localizer.model_hash,
            "family": localizer.model.config.family, "headings": localizer.model.matcher is not None,
            "cameras": localizer.model.config.frame.uses_cameras,
            "search": str(localizer.search), "decision": str(localizer.decision),
            "calibrated": asked is not None and asked.calibrated_here,
            "not_calibrated": "the search follows paths" if asked is None else asked.unlike,
            "tiles": {"map": tiles.map_layer.address(root),
                      "grid": tiles.grid_layer(0).address(root, ending=".png").replace("grid/0/", "grid/{level}/"),
                      "min_zoom": tiles.map_layer.min_zoom, "max_zoom": tiles.map_layer.max_zoom},
            "limits": settings.model_dump(include={"max_photos", "max_photo_mb", "max_body_mb", "max_job_mb", "max_megapixels",
                                                   "max_waiting", "answer_s", "keep_s", "session_idle_s"}),
            "examples": [{**one, "photo": f"{root}/examples/{one['file']}"} for one in shown],
        }

    @router.get("/examples/{name}", response_class=FileResponse, summary="An example photo")
    def example(name: str) -> FileResponse:
        if examples is None or name not in files:
            raise ProblemError(404, name, "there is no such example", "GET /v1/map lists them.")
        return FileResponse(examples / name)

    return router
