"""A tile server and the limits of requests to it: checked settings."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from justzoomin.errors import ConfigError
from justzoomin.tiles.fetch import FetchRules, agent
from justzoomin.tiles.layout import TileLayout, is_web_square, web_layout
from justzoomin.tiles.tileheader import MAX_TILE_BYTES
from justzoomin.tiles.urltemplate import UrlTemplate, Variables, rows_from_south

MAX_XYZ_ZOOM = 30


class Matrix(NamedTuple):
    """A level of a server that describes each of its levels.

    Args:
        level: Its number in the layout.
        name: The server's name for it.
        columns: First and last column that has tiles.
        rows: First and last row that has tiles.
    """

    level: int
    name: str
    columns: tuple[int, int]
    rows: tuple[int, int]


@dataclass(frozen=True)
class TileServer:
    """A tile server and the limits of requests to it.

    Many public servers forbid fetching in bulk. Read the terms of your server first.

    Args:
        url: Template of addresses: XYZ `https://host/{z}/{x}/{y}.png`, TMS with `{-y}`, `{quadkey}`, or WMTS with
            `{TileMatrix}`, `{TileRow}`, `{TileCol}`; `{s}` for subdomains. Write keys as `${NAME}`, from the environment.
        attribution: The names that the server's terms ask for.
        min_zoom: Coarsest level it has.
        max_zoom: Finest level it has.
        tile_px: Edge of its tiles.
        scheme: Whether y counts from the north ("xyz") or from the south ("tms").
        subdomains: The values of {s}.
        layout: Its tile layout, unless that is the web mercator square; it replaces min_zoom, max_zoom and tile_px.
        matrices: All levels of the server, if it describes each of them.
        requests_per_second: Requests a second to one host, over all threads of a process.
        parallel: Requests to one host at the same time.
        timeout_s: Seconds to wait for a connection, and for more bytes.
        tile_limit_s: Seconds for one tile in all tries; pauses between them do not count.
        run_limit_s: Seconds in which a process may fetch, counted from its first tile; None for no limit.
        retries: Further tries after a broken connection, a busy server (429) or a server error (5xx).
        keep_days: Days after which a kept tile is requested again; an older one is still used if the server cannot
            be reached.
        max_tiles: Most tiles that one process fetches.
        contact: Mail or web address that the User-Agent names; some servers ask for one.
        variables: The environment variables that the address may name.

    Raises:
        ConfigError: If a setting is not valid.
        LayoutError: If the levels or the size of tiles are not valid.
    """

    url: str
    attribution: str = ""
    min_zoom: int = 0
    max_zoom: int = 19
    tile_px: int = 256
    scheme: Literal["xyz", "tms"] = "xyz"
    subdomains: tuple[str, ...] = ("a", "b", "c")
    layout: TileLayout | None = None
    matrices: tuple[Matrix, ...] = ()
    requests_per_second: float = 5.0
    parallel: int = 2
    timeout_s: float = 20.0
    tile_limit_s: float = 60.0
    run_limit_s: float | None = None
    retries: int = 4
    keep_days: float = 30.0
    max_tiles: int = 50_000
    contact: str = ""
    variables: Variables = "any"

    def __post_init__(self) -> None:
        template, where = self.template, f"tile server {self.name}"
        for name, low, high in (("requests_per_second", 1e-3, 1e3), ("parallel", 1, 16), ("timeout_s", 1e-3, 600.0),
                                ("tile_limit_s", 1e-3, 86_400.0), ("run_limit_s", 1.0, 1e9), ("retries", 0, 20),
                                ("keep_days", 0.0, 1e5), ("max_tiles", 0, 10**9)):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise ConfigError(f"{where}: {name}", f"{value} is out of range", f"Give a number from {low} to {high}.")
        if self.scheme not in {"xyz", "tms"}:
            raise ConfigError(f"{where}: scheme", f"unknown scheme {self.scheme!r}", "Schemes: xyz, tms.")
        if self.scheme == "tms" and "{-y}" not in template.text.lower():
            raise ConfigError(where, "its address has no y to count from the south", "Remove --tms (scheme).")
        if any(ord(letter) < 32 or ord(letter) > 126 for letter in self.contact):
            raise ConfigError(f"{where}: contact", "it is not plain ASCII text", "Give a mail or web address.")
        if self.layout is None:
            if not 0 <= self.min_zoom <= self.max_zoom <= MAX_XYZ_ZOOM:
                raise ConfigError(f"{where}: min_zoom, max_zoom",
                                  f"{self.min_zoom} to {self.max_zoom} are not levels of a web map",
                                  f"Levels go from 0, the whole earth, to {MAX_XYZ_ZOOM}.")
            web_layout(self.min_zoom, self.max_zoom, self.tile_px)
        elif (template.needs_square or self.scheme == "tms") and not is_web_square(self.layout):
            raise ConfigError(where, "{-y}, {quadkey} and tms need the web mercator square, but the layout is a different one",
                              "Use {x} and {y}, or the preset XYZ.")

    @property
    def template(self) -> UrlTemplate:
        """The checked template."""
        text = rows_from_south(self.url) if self.scheme == "tms" else self.url
        return UrlTemplate(text, self.subdomains, self.variables)

    @property
    def name(self) -> str:
        """The template without secrets, for messages and files."""
        return self.template.masked()

    def tile_layout(self) -> TileLayout:
        """Return its tile layout; the layout's `url` holds no secret."""
        if self.layout is not None:
            return replace(self.layout, url=self.name)
        return web_layout(self.min_zoom, self.max_zoom, self.tile_px, self.name)

    def rules(self) -> FetchRules:
        """Return the limits of requests to it."""
        return FetchRules(self.requests_per_second, self.parallel, self.timeout_s, self.tile_limit_s, self.retries,
                          MAX_TILE_BYTES, agent(self.contact))
