"""Names of the searches, and the choice of a search for `auto`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from justzoomin.errors import ConfigError
from justzoomin.geometry import ZoomGrid, view_count
from justzoomin.posterior import MAX_TERMINAL_CELLS

if TYPE_CHECKING:
    from justzoomin.search.index import MapIndex

AUTO_CELLS = 1 << 16
"""Most terminal cells for which `auto` chooses the posterior: half a second of one core with the preset `small`."""
AUTO_PIXELS = 300 * 64 * 64
"""Most pixels, over all views, that `auto` draws and encodes without an index: a grid of depth 3 at 64 pixels."""
MAX_WIDTH = 4096
_BEAM = re.compile(r"beam:([0-9]{1,6})")


@dataclass(frozen=True)
class Search:
    """A kind of search with its settings.

    Attributes:
        kind: `greedy`, `beam` or `posterior`.
        width: Number of paths that a beam follows; 1 for the other kinds.
    """

    kind: Literal["greedy", "beam", "posterior"]
    width: int = 1

    def __str__(self) -> str:
        return f"beam:{self.width}" if self.kind == "beam" else self.kind


def parse_search(text: str) -> Search | None:
    """Return the search with a name such as `greedy`, `beam:8` or `posterior`; None for `auto`.

    Raises:
        ConfigError: If the search is unknown, or a beam has no valid width.
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
    raise ConfigError("search", f"unknown search {text[:60]!r}",
                      f"Choose auto, greedy, beam:K (K from 1 to {MAX_WIDTH}) or posterior.")


def choose_search(asked: str, grid: ZoomGrid, index: MapIndex | None, pixels: int, *, decision: str | None,
                  prior: bool, paths: bool = True, matcher: bool = False) -> Search:
    """Return the search to use.

    `auto` is the posterior if the model has a matcher, if a decision or a prior needs it, if an index holds all views, or if
    the views are few and small; otherwise it is greedy.

    Args:
        asked: Name of the search; see `parse_search`.
        grid: The grid.
        index: The map's index, if there is one.
        pixels: Edge of a view.
        decision: The chosen decision, if any.
        prior: Whether there is a prior.
        paths: Whether the model decodes paths; a model that does not has only a posterior.
        matcher: Whether the model has a matcher, which finds places on any map; paths are those of its zoomer alone.

    Raises:
        ConfigError: If the search is unknown, or follows paths although a decision or a prior needs the posterior or the model
            does not decode paths.
    """
    search = parse_search(asked)
    if not paths:
        if search is not None and search.kind != "posterior":
            raise ConfigError("search", f"{search} follows paths, but this model scores all cells", "Search with posterior.")
        return Search("posterior")
    needs = "prior" if prior else "decision" if decision not in (None, "top") else None
    if search is None:
        cells = grid.actions**grid.depth
        if matcher and cells <= MAX_TERMINAL_CELLS:
            return Search("posterior")
        few = view_count(grid) * pixels**2 <= AUTO_PIXELS
        whole = cells <= AUTO_CELLS and (few or (index is not None and index.count() == len(index)))
        return Search("posterior" if needs or whole else "greedy")
    if needs and search.kind != "posterior":
        raise ConfigError("search", f"a {needs} needs the whole posterior, but {search} follows single paths",
                          "Search with posterior, or leave the search out.")
    return search
