"""The map and its grid for GIS: XYZ tiles, TileJSON and WMTS."""

from __future__ import annotations

import re
from typing import Annotated, Any, cast

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from justzoomin.apps.server.problems import ProblemError
from justzoomin.apps.server.tile_answers import FOR_A_WHILE, FOR_GOOD, entity_tag, tagged
from justzoomin.apps.server.tile_service import TileLayer, TileService
from justzoomin.apps.server.wmts_capabilities import STYLE, capabilities, layer_name, matrix_set
from justzoomin.geometry import ZoomGrid
from justzoomin.maps import MAX_ZOOM, Map, TileFile, TileFormat

Zoom = Annotated[int, Path(ge=0, le=MAX_ZOOM, description="zoom level")]
Number = Annotated[int, Path(ge=0, lt=1 << MAX_ZOOM, description="column from the west")]
Row = Annotated[str, Path(pattern=r"^[0-9]{1,10}(@2x)?(\.(jpg|png|webp))?$", description=(
    "row from the north, then @2x for 512 pixels, then .jpg, .png or .webp; "
    "without an ending, JPEG inside of the map and PNG at its border"))]
GridRow = Annotated[str, Path(pattern=r"^[0-9]{1,10}(@2x)?\.png$",
                              description="row from the north, then @2x for 512 pixels, then .png")]
Level = Annotated[int, Path(ge=0, le=64, description="level of the grid; 0 is the border of the region")]
Version = Annotated[str | None, Query(alias="v", max_length=64, description="version, as in the addresses of map.json")]
_ROW = re.compile(r"([0-9]+)(@2x)?(?:\.([a-z]+))?")
_PICTURE = {200: {"content": {kind: {} for kind in ("image/png", "image/jpeg", "image/webp")}},
            204: {"description": "a JPEG of a place outside of the map"}, 304: {"description": "the client has this tile"}}
_XML = "application/xml"


def tile_routes(source: Map, grid: ZoomGrid, *, name: str = "map", service: TileService | None = None) -> APIRouter:
    """Return the routes of the tiles of a map and of its grid.

    Args:
        source: The map.
        grid: The grid.
        name: Name of the map for people.
        service: The tiles, if others use them too.

    Raises:
        GeometryError: If the map's projection fails at the centre of its region.
    """
    tiles = service or TileService(source, grid, name)
    router = APIRouter(tags=["tiles"])

    def map_answer(request: Request, z: int, x: int, y: int, pixels: int, form: TileFormat, version: str | None) -> Response:
        _check(z, x, y)
        tag = None if tiles.map_tag is None else entity_tag(tiles.map_tag, z, x, y, pixels, form)
        return tagged(request, tag, lambda: tiles.map_tile(z, x, y, pixels, form), keep=_keep(tiles.map_layer, version, tag))

    def grid_answer(request: Request, level: int, z: int, x: int, y: int, pixels: int, version: str | None) -> Response:
        _check(z, x, y)
        layer = grid_layer(level)
        tag = entity_tag("grid", layer.version, level, z, x, y, pixels)
        return tagged(request, tag, lambda: tiles.grid_tile(level, z, x, y, pixels), keep=_keep(layer, version, tag))

    def grid_layer(level: int) -> TileLayer:
        if not 0 <= level <= grid.depth:
            raise ProblemError(404, f"level {level}", "the grid has no such level", f"Give a level from 0 to {grid.depth}.")
        return tiles.grid_layer(level)

    def described(request: Request, layer: TileLayer) -> Response:
        body = JSONResponse(tiles.tilejson(layer, _base(request))).body
        return tagged(request, None, lambda: TileFile(bytes(body), "application/json"))

    @router.get("/tiles/map.json", summary="The map as TileJSON")
    def map_json(request: Request) -> Response:
        return described(request, tiles.map_layer)

    @router.get("/tiles/grid/{level}.json", summary="The cells of a level as TileJSON")
    def grid_json(request: Request, level: Level) -> Response:
        return described(request, grid_layer(level))

    @router.get("/tiles/map/{z}/{x}/{y}", summary="A tile of the map", responses=cast("dict[int | str, Any]", _PICTURE))
    def map_tile(request: Request, z: Zoom, x: Number, y: Row, version: Version = None) -> Response:
        row, pixels, form = _row(y)
        return map_answer(request, z, x, row, pixels, form, version)

    @router.get("/tiles/grid/{level}/{z}/{x}/{y}", summary="A tile with the borders of a level's cells",
                responses=cast("dict[int | str, Any]", _PICTURE))
    def grid_tile(request: Request, level: Level, z: Zoom, x: Number, y: GridRow, version: Version = None) -> Response:
        row, pixels, _ = _row(y)
        return grid_answer(request, level, z, x, row, pixels, version)

    @router.get("/wmts/1.0.0/WMTSCapabilities.xml", summary="The map and its grid as WMTS")
    def wmts_capabilities(request: Request) -> Response:
        content = capabilities(tiles.layers, _base(request), tiles.name, tiles.attribution)
        return tagged(request, None, lambda: TileFile(content, _XML))

    @router.get("/wmts", summary="WMTS with keys: GetCapabilities and GetTile")
    def wmts(request: Request) -> Response:
        keys = {key.lower(): value for key, value in request.query_params.items()}
        if _key(keys, "request").lower() == "getcapabilities":
            return wmts_capabilities(request)
        if _key(keys, "request").lower() != "gettile":
            raise ProblemError(422, "request", "unknown request of WMTS", "Give GetCapabilities or GetTile.")
        layer = next((layer for layer in tiles.layers if layer_name(layer) == _key(keys, "layer")), None)
        if layer is None or keys.get("tilematrixset", matrix_set(layer)) != matrix_set(layer) or \
                keys.get("style", STYLE) not in {STYLE, ""}:
            raise ProblemError(404, "layer, tilematrixset, style", "the service has no such tiles",
                          "See wmts/1.0.0/WMTSCapabilities.xml for those that it has.")
        numbers = [_number(keys, name) for name in ("tilematrix", "tilecol", "tilerow")]
        ending = {kind: ending for ending, kind in layer.formats}.get(keys.get("format", "image/png"))
        if ending is None:
            raise ProblemError(422, "format", "this layer has no such format",
                               f"Give {', '.join(kind for _, kind in layer.formats)}.")
        z, x, y = numbers
        if layer.key == "map":
            return map_answer(request, z, x, y, 256, cast("TileFormat", ending[1:]), keys.get("v"))
        return grid_answer(request, int(layer.key.rpartition("/")[2]), z, x, y, 256, keys.get("v"))

    return router


def _row(text: str) -> tuple[int, int, TileFormat]:
    """Return row, pixels and format of the last part of an address; it has the pattern of `Row`."""
    found = _ROW.fullmatch(text)
    assert found is not None
    return int(found[1]), 512 if found[2] else 256, cast("TileFormat", found[3] or "mixed")


def _check(z: int, x: int, y: int) -> None:
    """Check that web maps have a tile.

    Raises:
        ProblemError: If they have not.
    """
    if not (0 <= z <= MAX_ZOOM and max(x, y) < 1 << z):
        raise ProblemError(404, f"tile {z}/{x}/{y}", "web maps have no such tile", "Give x and y from 0 to 2 ** z - 1.")


def _keep(layer: TileLayer, version: str | None, tag: str | None) -> str:
    return FOR_GOOD if tag is not None and version == layer.version else FOR_A_WHILE


def _base(request: Request) -> str:
    """Return the address of the service, behind a proxy too, without a slash at the end."""
    return str(request.base_url).rstrip("/")


def _key(keys: dict[str, str], name: str) -> str:
    if name not in keys:
        raise ProblemError(422, name, "this key is missing", "Give the keys of WMTS 1.0.0.")
    return keys[name]


def _number(keys: dict[str, str], name: str) -> int:
    text = _key(keys, name)
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise ProblemError(422, name, "this is not a number of a tile", "Give a whole number.")
    return int(text)
