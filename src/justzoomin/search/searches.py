"""What a search is called, and which one is taken where none is asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from justzoomin.errors import ConfigError
from justzoomin.geometry import ZoomGrid, view_count

if TYPE_CHECKING:
    from justzoomin.search.index import MapIndex

AUTO_CELLS = 1 << 16
"""Terminal cells up to which `auto` asks for the whole posterior: half a second of one core with the preset `small`."""
AUTO_PIXELS = 300 * 64 * 64
"""Pixels of all views that `auto` draws and encodes without an index: those of a grid of depth 3 at 64 pixels."""
MAX_WIDTH = 4096
_BEAM = re.compile(r"beam:([0-9]{1,6})")


@dataclass(frozen=True)
class Search:
    """A way from a photo to cells.

    Attributes:
        kind: `greedy`, `beam` or `posterior`.
        width: Paths that a beam follows; 1 for the others.
    """

    kind: Literal["greedy", "beam", "posterior"]
    width: int = 1

    def __str__(self) -> str:
        return f"beam:{self.width}" if self.kind == "beam" else self.kind


def parse_search(text: str) -> Search | None:
    """A search from words: `greedy`, `beam:8`, `posterior`; None for `auto`.

    Raises:
        ConfigError: If they are others, or a beam has no width.
    """
    if text == "auto":
        return None
    found = _BEAM.fullmatch(text)
    if found and 1 <= int(found[1]) <= MAX_WIDTH:
        return Search("beam", int(found[1]))
    if text == "greedy":
        return Search("greedy")
    if text == "posterior":
        return Search("posterior")
    raise ConfigError("search", f"{text[:60]!r} is none", f"Use auto, greedy, beam:K (K up to {MAX_WIDTH}) or posterior.")


def choose_search(asked: str, grid: ZoomGrid, index: MapIndex | None, pixels: int, *, decision: str | None,
                  prior: bool, paths: bool = True) -> Search:
    """The search to do.

    `auto` is the whole posterior where a decision or a prior needs one, where an index has all views, or where the grid has few
    and small ones; greedy elsewhere.

    Args:
        asked: As `parse_search` reads it.
        grid: The grid.
        index: The map's index, if there is one.
        pixels: Edge of a view.
        decision: The decision that was asked for, if one was.
        prior: Whether there is a prior.
        paths: Whether the model finds paths; one that does not has a posterior alone.

    Raises:
        ConfigError: If the words are none, a greedy search or a beam is to serve a decision or a prior, or the model finds no
            paths.
    """
    search = parse_search(asked)
    if not paths:
        if search is not None and search.kind != "posterior":
            raise ConfigError("search", f"{search} follows paths, and this model scores all cells", "Search with posterior.")
        return Search("posterior")
    needs = "prior" if prior else "decision" if decision not in (None, "top") else None
    if search is None:
        cells = grid.actions**grid.depth
        few = view_count(grid) * pixels**2 <= AUTO_PIXELS
        whole = cells <= AUTO_CELLS and (few or (index is not None and index.count() == len(index)))
        return Search("posterior" if needs or whole else "greedy")
    if needs and search.kind != "posterior":
        raise ConfigError("search", f"a {needs} needs the whole posterior, and {search} follows single paths",
                          "Search with posterior, or leave the search out.")
    return search
