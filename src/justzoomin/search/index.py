"""The map index: vectors of a model's views on the disk, bound to the model and the map they were made from.

A folder with two files. `index.json` says what it belongs to and which layers of views it holds; `views.bin` has one record
per view, in the order of the views' numbers (`geometry.ViewLayers`): a mark, the share of the view without data, the vector.
An index is the same thing while it is built, by one process or by several, and when its views are encoded only as needed.
For a matcher it also has the described map, in files of its own (`ground_index.py`).
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from justzoomin.errors import DataError, ModelError
from justzoomin.files import folder_lock, is_free, open_to_write, reserve, sweep, write_json
from justzoomin.geometry import MAX_KEPT_VIEWS, Layer, ViewLayers, ZoomGrid, grid_from_dict, grid_to_dict
from justzoomin.maps import Map, MapContent, map_content, view_levels
from justzoomin.models import MapModel
from justzoomin.store import MarkedRows, Rows, Store, checksum

if TYPE_CHECKING:
    from justzoomin.search.ground_index import GroundIndex

HEAD_FILE = "index.json"
VIEWS_FILE = "views.bin"
Precision = Literal["fp32", "fp16"]

_KIND = {"fp32": "<f4", "fp16": "<f2"}
_MOST = {"pixels": 8192, "width": 1 << 16}
_MAX_LAYERS = 64
_AGAIN = "Make it again with jzi index, in another folder."
_STORE = Store("justzoomin-index/2", "a map index", DataError, _AGAIN)


@dataclass(frozen=True)
class IndexHead:
    """The model, map and views that an index belongs to.

    Attributes:
        model: Fingerprint of the model.
        content: The map's tiles from which the views are drawn.
        layers: The views and their zoom grid.
        pixels: Edge of the views in pixels.
        width: Length of a vector.
        precision: Number format of the vectors.
    """

    model: str
    content: MapContent
    layers: ViewLayers
    pixels: int
    width: int
    precision: Precision

    @property
    def grid(self) -> ZoomGrid:
        """The zoom grid."""
        return self.layers.grid

    @property
    def views(self) -> int:
        """Number of the views."""
        return len(self.layers)

    @property
    def record(self) -> np.dtype[np.void]:
        """Layout of a record in `views.bin`."""
        return record_of(self.width, self.precision)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for `index.json`."""
        return {"format": _STORE.format, "model": self.model, "map": self.content.to_dict(), "grid": grid_to_dict(self.grid),
                "layers": [[layer.level, layer.scale] for layer in self.layers.layers], "pixels": self.pixels,
                "width": self.width, "precision": self.precision, "views": self.views}


class MapIndex(MarkedRows):
    """An open index; several processes may use it at once. Open one with `create`, `open` or `open_for`.

    Args:
        folder: Its folder.
        head: The model, map and views that it belongs to.
        writable: Whether views may be added. The file is opened for writing with the first view, and never through a link.
    """

    def __init__(self, folder: Path, head: IndexHead, *, writable: bool) -> None:
        self.folder, self.head, self.writable = folder, head, writable
        self._views = Rows(_STORE, folder / VIEWS_FILE, head.record, head.views)
        super().__init__([self._views], "mark", _mark)

    @classmethod
    def create(cls, folder: str | Path, model: MapModel, source: Map, grid: ZoomGrid | None = None,
               precision: Precision = "fp32") -> MapIndex:
        """Make an index without views, or open the index in the folder if it belongs to the same model, map and grid.

        Raises:
            DataError: If the folder holds something else, another process is making the index, or the index in the folder
                lacks views and cannot be written.
            ModelError: If the index in the folder belongs to another model.
            OSError: If the index cannot be written.
        """
        folder, grid = Path(folder), grid or source.grid
        if (folder / HEAD_FILE).exists():
            found = cls.open_for(folder, model, source, grid)
            if found.head.precision != precision:
                raise DataError(folder, f"the index in this folder holds {found.head.precision}, not {precision}", _AGAIN)
            if not found.writable and found.count() < len(found):
                raise DataError(folder / VIEWS_FILE, f"it lacks {len(found) - found.count()} views and cannot be written",
                                "Make it writable, or make an index in another folder.")
            if found.writable:
                found.remember()
            return found
        if not is_free(folder, VIEWS_FILE):
            raise DataError(folder, "the folder is not empty and holds no index", "Give a new folder.")
        pixels, layers = model.config.image_pixels, _layers_of(model, grid)
        head = IndexHead(model.fingerprint(), map_content(source, view_levels(source, layers, pixels)), layers, pixels,
                         model.encoder.width, precision)
        with folder_lock(folder, "index"):
            sweep(folder)
            with open_to_write(folder / VIEWS_FILE) as file:
                file.truncate(head.views * head.record.itemsize)  # a hole: disk space is used as views are written
            write_json(head.to_dict(), folder / HEAD_FILE)
        return cls(folder, head, writable=True)

    def reserve(self) -> None:
        """Reserve disk space for all views before they are encoded, so that a full disk is not found after hours of work.

        Raises:
            DiskError: If the disk has too little free space.
        """
        if self.writable:
            reserve(self._views.writer, len(self) * self.head.record.itemsize)

    @classmethod
    def open(cls, folder: str | Path) -> MapIndex:
        """Open an index of any model and map, without writing; views may be added if its file can be written.

        Raises:
            DataError: If it is not an index, or the size of its file contradicts its head.
        """
        folder = Path(folder)
        head = read_head(folder)
        path = folder / VIEWS_FILE
        return cls(folder, head, writable=os.access(path, os.W_OK) and not path.is_symlink())

    @classmethod
    def open_for(cls, folder: str | Path, model: MapModel, source: Map, grid: ZoomGrid | None = None) -> MapIndex:
        """Open an index that belongs to a model, a map and a grid.

        Raises:
            DataError: If it is not an index, or belongs to another grid or map. The message says which.
            ModelError: If it belongs to another model.
        """
        folder, index = Path(folder), cls.open(folder)
        head, grid = index.head, grid or source.grid
        own = model.fingerprint()
        if head.model != own:
            raise ModelError(folder, f"the index belongs to another model ({head.model[:12]}..., not {own[:12]}...)",
                             f"Use the model it was made with. {_AGAIN}")
        if head.grid != grid:
            raise DataError(folder, "the index belongs to another region or depth", f"Give its --region. {_AGAIN}")
        sizes = head.pixels, head.width, head.layers
        if sizes != (model.config.image_pixels, model.encoder.width, _layers_of(model, grid)):
            raise DataError(folder / HEAD_FILE, "its layers or sizes differ from the model's", _AGAIN)
        now = map_content(source, head.content.levels, known=head.content)
        if now.digest != head.content.digest:
            raise DataError(folder, f"the index was not made from the tiles of {source.name}", _AGAIN)
        index.head = replace(head, content=now)
        return index

    def ground(self, model: MapModel, source: Map) -> GroundIndex | None:
        """Open the described pieces of the map, for the model's matcher; an index that has none gets an empty file for them.

        Args:
            model: The index's model; it must have a matcher.
            source: The index's map.

        Returns:
            The pieces. None, with a warning, if the index has none and cannot be written: then they are kept in memory.

        Raises:
            DataError: If the pieces in the index cannot be read, or belong to another map or grid.
            ModelError: If they belong to another model, or the model has no matcher.
        """
        from justzoomin.search.ground_index import GROUND_HEAD, GroundIndex

        if not (self.folder / GROUND_HEAD).exists():
            try:
                if self.writable:
                    return GroundIndex.create(self.folder, model, source, self.head.grid)
                reason: object = "it cannot be written"
            except (DataError, OSError) as error:
                reason = error
            if not (self.folder / GROUND_HEAD).exists():  # another process may have made it meanwhile
                warnings.warn(f"the map is described, but not kept in the index {self.folder}: {reason}", stacklevel=2)
                return None
        found = GroundIndex.open_for(self.folder, model, source, self.head.grid)
        found.writable &= self.writable
        return found

    def remember(self) -> None:
        """Note in `index.json` the content of the map's tiles at opening, so that a copied map is not read again.

        Raises:
            OSError: If it cannot be written.
        """
        with folder_lock(self.folder, "index"):
            sweep(self.folder)
            if read_head(self.folder).content != self.head.content:
                write_json(self.head.to_dict(), self.folder / HEAD_FILE)

    def read(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the vectors (N, D) of views that the index holds; see `known`.

        Raises:
            DataError: If a vector is not finite, even if its checksum is right.
        """
        vectors = self._views.values["vector"][numbers].astype(np.float32)
        wrong = ~np.isfinite(vectors).all(1)
        if wrong.any():
            raise DataError(self.folder / VIEWS_FILE, f"the vector of view {int(numbers[wrong][0])} holds values that are not "
                            "finite", _AGAIN)
        return vectors

    def no_data(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the shares without data (N,) of views that the index holds.

        Raises:
            DataError: If a share is not from 0 to 1.
        """
        shares = np.asarray(self._views.values["no_data"][numbers], np.float32)
        wrong = ~((shares >= 0) & (shares <= 1))
        if wrong.any():
            raise DataError(self.folder / VIEWS_FILE, f"the share without data of view {int(numbers[wrong][0])} is "
                            f"{shares[wrong][0]:g}", _AGAIN)
        return shares

    def keep(self, numbers: npt.NDArray[np.int64], vectors: npt.NDArray[np.float32],
             no_data: npt.NDArray[np.float32], *, must: bool = False) -> npt.NDArray[np.float32]:
        """Write vectors (N, D) and shares without data (N,) of views (N,), if the index can be written.

        Args:
            numbers: The views.
            vectors: Their vectors.
            no_data: Their shares without data.
            must: Whether a failure to write is an error. Otherwise it is a warning, and no more views are added.

        Returns:
            The vectors (N, D) as later reads return them: rounded to the index's number format.

        Raises:
            ModelError: If a vector is not finite, or not in the index's number format.
            DiskError: If the disk is full or broken, and the views must be kept.
        """
        records = np.zeros(len(numbers), self.head.record)
        with np.errstate(over="ignore"):
            records["vector"], records["no_data"] = vectors, no_data
        wrong = ~np.isfinite(records["vector"]).all(1)
        if wrong.any():
            raise ModelError(self.folder, f"the vector of view {int(numbers[wrong][0])} holds values that are not finite in "
                             f"{self.head.precision}", "Make the index with fp32; check the model.")
        if self.writable:
            try:
                for number, record in zip(numbers.tolist(), records, strict=True):
                    self.write(number, record)
            except (DataError, OSError) as error:
                if must:
                    raise
                self.writable = False
                warnings.warn(f"views are encoded, but not kept in the index {self.folder}: {error}", stacklevel=2)
        return records["vector"].astype(np.float32)


def record_of(width: int, precision: Precision) -> np.dtype[np.void]:
    """Return the layout of a record with a vector of `width` numbers."""
    return np.dtype([("mark", "<u4"), ("no_data", "<f4"), ("vector", _KIND[precision], (width,))])


def _layers_of(model: MapModel, grid: ZoomGrid) -> ViewLayers:
    layers = model.layers(grid)
    if not layers.layers:
        raise ModelError("model", f"a model of the family {model.config.family} does not use the map",
                         "Use it without an index.")
    return layers


def _mark(record: np.void) -> int:
    """Return the checksum of a record after its mark; it is never 0, which marks a missing record."""
    return checksum(record.tobytes()[4:]) or 1


def read_head(folder: Path) -> IndexHead:
    """Read `index.json`.

    Raises:
        DataError: If it is missing or wrong. The message names the field.
    """
    return _STORE.load(folder / HEAD_FILE, _parse)


def _parse(values: dict[str, Any]) -> IndexHead:
    for key, most in _MOST.items():
        if type(values.get(key)) is not int or not 1 <= values[key] <= most:
            raise ValueError(f"{key} is not a whole number from 1 to {most}")
    if not isinstance(values.get("model"), str) or values.get("precision") not in get_args(Precision):
        raise ValueError("its model or precision is wrong")
    pairs = values.get("layers")
    if not isinstance(pairs, list) or not 1 <= len(pairs) <= _MAX_LAYERS or not all(
            isinstance(pair, list) and len(pair) == 2 and all(type(number) is int for number in pair) for pair in pairs):
        raise ValueError(f"layers is not a list of 1 to {_MAX_LAYERS} pairs of whole numbers (level and scale)")
    layers = ViewLayers(grid_from_dict(values.get("grid"), "grid"), tuple(Layer(level, scale) for level, scale in pairs))
    head = IndexHead(values["model"], MapContent.from_dict(values.get("map"), "map"), layers, values["pixels"],
                     values["width"], values["precision"])
    if head.views > MAX_KEPT_VIEWS:
        raise ValueError(f"its grid has {head.views:,} views, more than {MAX_KEPT_VIEWS:,}")
    if values.get("views") != head.views:
        raise ValueError(f"views is not {head.views}, the number that its grid and layers give")
    return head
