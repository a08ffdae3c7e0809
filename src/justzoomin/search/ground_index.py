"""The part of a map index that a matcher uses: the described pieces of a map on the disk, bound to model, map and lattice.

Two files beside those of the views. `ground.json` says what the pieces belong to; `ground.bin` has one record per piece, in the
order of the pieces' numbers: the piece (`map_features.piece_dtype`), then a mark. The head is a file of its own, because the
pieces are drawn from other levels of the map than the views, and so that an index gets pieces without a change to what it has.
"""

from __future__ import annotations

import os
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from justzoomin.errors import DataError, ModelError
from justzoomin.files import folder_lock, open_to_write, reserve, sweep, write_json
from justzoomin.geometry import ZoomGrid, grid_from_dict, grid_to_dict
from justzoomin.maps import Map, MapContent, Windows, map_content, window_levels
from justzoomin.models import MapModel
from justzoomin.search.map_features import Piece, piece_dtype
from justzoomin.search.matching import matcher_of, windows_of
from justzoomin.search.place_lattice import PlaceLattice
from justzoomin.store import MarkedRows, Rows, Store, checksum

GROUND_HEAD = "ground.json"
GROUND_FILE = "ground.bin"

_AGAIN = "Make the index again with jzi index, in another folder."
_STORE = Store("justzoomin-ground/1", "the described map of an index", DataError, _AGAIN)
_LATTICE = ("place_m", "side", "window", "margin", "pixels")
_MAX_PIECES, _MAX_PIECE_BYTES = 1 << 32, 1 << 30
_WRITING_S = 0.05
"""Seconds after which a record that looks broken is read again: another process may have been writing it."""


@dataclass(frozen=True)
class GroundHead:
    """The model, map and lattice that described pieces belong to.

    Attributes:
        model: Fingerprint of the model.
        content: The map's tiles from which the pieces are drawn.
        grid: The zoom grid whose region is described.
        lattice: The lattice of places.
        channels: Length of a place's vector.
        headings: Number of bearings with a logit.
    """

    model: str
    content: MapContent
    grid: ZoomGrid
    lattice: PlaceLattice
    channels: int
    headings: int

    @property
    def pieces(self) -> int:
        """Number of the pieces."""
        return self.lattice.windows**2

    @property
    def record(self) -> np.dtype[np.void]:
        """Layout of a record in `ground.bin`."""
        return ground_record(self.lattice, self.channels, self.headings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for `ground.json`."""
        return {"format": _STORE.format, "model": self.model, "map": self.content.to_dict(), "grid": grid_to_dict(self.grid),
                "lattice": {name: getattr(self.lattice, name) for name in _LATTICE},
                "channels": self.channels, "headings": self.headings, "pieces": self.pieces}


class GroundIndex(MarkedRows):
    """Described pieces on the disk, as a mapping from their numbers; several processes may use it at once.

    Pieces are read through a memory map. A piece that cannot be written stays in memory. Open one with `create` or `open_for`.

    Args:
        folder: Folder of the index.
        head: What the pieces belong to.
        writable: Whether pieces may be added. The file is opened for writing with the first one, and never through a link.
    """

    def __init__(self, folder: Path, head: GroundHead, *, writable: bool) -> None:
        self.folder, self.head, self.writable = folder, head, writable
        self._pieces = Rows(_STORE, folder / GROUND_FILE, head.record, head.pieces)
        self._unwritten: dict[int, Piece] = {}
        super().__init__([self._pieces], "mark", _mark)

    @classmethod
    def create(cls, folder: str | Path, model: MapModel, source: Map, grid: ZoomGrid) -> GroundIndex:
        """Add empty pieces to an index, or open those that it has if they belong to the same model, map and grid.

        Raises:
            DataError: If pieces in the folder belong to something else, another process is making them, or some are missing
                and cannot be written.
            ModelError: If pieces in the folder belong to another model.
            OSError: If they cannot be written.
        """
        folder = Path(folder)
        if (folder / GROUND_HEAD).exists():
            found = cls.open_for(folder, model, source, grid)
            if not found.writable and found.count() < len(found):
                raise DataError(folder / GROUND_FILE, f"it lacks {len(found) - found.count()} pieces of map and cannot be "
                                "written", "Make it writable, or make an index in another folder.")
            if found.writable:
                found.remember()
            return found
        with folder_lock(folder, "index"):
            if not (folder / GROUND_HEAD).exists():
                sweep(folder)
                head = _head_for(model, source, grid)
                with open_to_write(folder / GROUND_FILE) as file:
                    file.truncate(head.pieces * head.record.itemsize)  # a hole: disk space is used as pieces are written
                write_json(head.to_dict(), folder / GROUND_HEAD)
        return cls.open_for(folder, model, source, grid)

    @classmethod
    def open_for(cls, folder: str | Path, model: MapModel, source: Map, grid: ZoomGrid) -> GroundIndex:
        """Open the pieces of an index that belong to a model, a map and a grid, without writing.

        Raises:
            DataError: If they cannot be read, or belong to another map or grid. The message says which.
            ModelError: If they belong to another model.
        """
        folder, own, config = Path(folder), model.fingerprint(), matcher_of(model).config
        values = _STORE.load(folder / GROUND_HEAD, _parse)
        if values["model"] != own:
            raise ModelError(folder, f"its described map belongs to another model ({values['model'][:12]}..., not "
                             f"{own[:12]}...)", f"Use the model it was made with. {_AGAIN}")
        if values["grid"] != grid_to_dict(grid):
            raise DataError(folder, "its described map belongs to another region or depth", f"Give its --region. {_AGAIN}")
        head = GroundHead(own, MapContent.from_dict(values["map"], "map"), grid, PlaceLattice.of(grid, matcher_of(model)),
                          config.channels, config.headings)
        for name, value in head.to_dict().items():
            if values.get(name) != value:
                raise DataError(folder / GROUND_HEAD, f"its {name!r} differs from what model and grid give, {value}", _AGAIN)
        now = map_content(source, head.content.levels, known=head.content)
        if now.digest != head.content.digest:
            raise DataError(folder, f"its described map was not made from the tiles of {source.name}", _AGAIN)
        file = folder / GROUND_FILE
        return cls(folder, replace(head, content=now), writable=os.access(file, os.W_OK) and not file.is_symlink())

    def remember(self) -> None:
        """Note in `ground.json` the content of the map's tiles at opening, so that a copied map is not read again.

        Raises:
            OSError: If it cannot be written.
        """
        with folder_lock(self.folder, "index"):
            if _STORE.load(self.folder / GROUND_HEAD, _parse)["map"] != self.head.content.to_dict():
                write_json(self.head.to_dict(), self.folder / GROUND_HEAD)

    def reserve(self) -> None:
        """Reserve disk space for all pieces before they are described.

        Raises:
            DiskError: If the disk has too little free space.
        """
        if self.writable:
            reserve(self._pieces.writer, len(self) * self.head.record.itemsize)

    def __contains__(self, number: object, /) -> bool:
        """Return whether a piece is described.

        Raises:
            DataError: If its record is broken.
        """
        assert isinstance(number, int)
        return number in self._unwritten or bool(self._known[number]) or self._is_stored(number)

    def __getitem__(self, number: int, /) -> Piece:
        """Return a described piece, a read-only view of the memory map; see `__contains__`."""
        found: Piece = self._unwritten[number] if number in self._unwritten else self._pieces.values["piece"][number, ...]
        return found

    def __setitem__(self, number: int, piece: Piece, /) -> None:
        """Keep a described piece: in the file if it can be written, otherwise in memory, with a warning for the first one."""
        reason: object = "it cannot be written"
        if self.writable:
            try:
                self.keep(number, piece)
                return
            except (DataError, OSError) as error:
                self.writable, reason = False, error
        if not self._unwritten:
            warnings.warn(f"pieces of map are described, but not kept in the index {self.folder}: {reason}", stacklevel=2)
        self._unwritten[number] = piece

    def keep(self, number: int, piece: Piece) -> None:
        """Write a described piece.

        Raises:
            DiskError: If the disk is full or broken.
        """
        record = np.zeros((), self.head.record)
        record["piece"] = piece
        self.write(number, record[()])

    def _is_stored(self, number: int) -> bool:
        for wait in (0.0, _WRITING_S):
            if wait:
                time.sleep(wait)
            record = self._pieces.read(number)
            if not len(record) or not record["mark"][0]:
                return False
            if record["mark"][0] == _mark(record[0]):
                self._known[number] = True
                return True
        raise DataError(self.folder / GROUND_FILE, f"piece {number} of the described map is broken (its checksum is wrong)",
                        "Run jzi index for this folder again: it describes that piece again.")


class Described(NamedTuple):
    """How much of a map an index holds.

    Attributes:
        ready: Number of described pieces.
        pieces: Number of all pieces.
        size: Bytes of their file.
    """

    ready: int
    pieces: int
    size: int


def described(folder: str | Path) -> Described | None:
    """Return how much of the map an index of any model holds; None if it has no pieces.

    Raises:
        DataError: If the pieces cannot be read.
    """
    file = Path(folder) / GROUND_FILE
    if not (file.parent / GROUND_HEAD).exists():
        return None
    pieces = _STORE.load(file.parent / GROUND_HEAD, _parse)["pieces"]
    size = file.stat().st_size if file.exists() else 0
    rows = Rows(_STORE, file, [("piece", f"V{min(max(1, size // pieces - 4), _MAX_PIECE_BYTES)}"), ("mark", "<u4")], pieces)
    return Described(MarkedRows([rows], "mark", _mark).count(), pieces, size)


def _parse(values: dict[str, Any]) -> dict[str, Any]:
    """Refuse a head whose model, map, grid or number of pieces cannot be read."""
    if not isinstance(values.get("model"), str):
        raise ValueError("model is not a fingerprint")
    if type(values.get("pieces")) is not int or not 1 <= values["pieces"] <= _MAX_PIECES:
        raise ValueError(f"pieces is not a whole number from 1 to {_MAX_PIECES}")
    MapContent.from_dict(values.get("map"), "map")
    return {**values, "grid": grid_to_dict(grid_from_dict(values.get("grid"), "grid"))}


def ground_record(lattice: PlaceLattice, channels: int, headings: int) -> np.dtype[np.void]:
    """Return the layout of a record; the mark is last, so that a record that was cut off has none."""
    return np.dtype([("piece", piece_dtype(lattice, channels, headings)), ("mark", "<u4")])


def ground_windows(model: MapModel, source: Map, grid: ZoomGrid) -> tuple[Windows, PlaceLattice]:
    """Return the pictures of a map that a model's matcher describes, and the lattice of their places."""
    lattice = PlaceLattice.of(grid, matcher_of(model))
    return windows_of(source, grid, lattice), lattice


def _head_for(model: MapModel, source: Map, grid: ZoomGrid) -> GroundHead:
    windows, lattice = ground_windows(model, source, grid)
    config = matcher_of(model).config
    return GroundHead(model.fingerprint(), map_content(source, window_levels(windows)), grid, lattice, config.channels,
                      config.headings)


def _mark(record: np.void) -> int:
    """Return the checksum of a record before its mark; it is never 0, which marks a missing record."""
    return checksum(record.tobytes()[:-4]) or 1
