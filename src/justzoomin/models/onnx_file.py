"""Check of an ONNX file before anything runs it: it must have plain operators, weights inside, and our own header.

The file is read in place in its wire format (Protocol Buffers), so that the check needs no memory: the onnx package would
hold the file twice. Field numbers are those of onnx.proto3 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
"""

from __future__ import annotations

import json
import mmap
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NoReturn, get_args

from justzoomin.errors import ModelError
from justzoomin.untrusted import printable

FORMAT = "justzoomin-onnx/1"
"""Value of `format` in the header of an exported file."""
HEADER_KEY = "justzoomin"
"""Name of the metadata entry that holds the header."""
MAX_BYTES = (1 << 31) - 1
"""Size limit of Protocol Buffers, and so of an ONNX file without external data."""

Part = Literal["encoder", "matcher_encoder"]
"""Encoders of a model that are exported, by their attribute names."""

_MAX_FIELDS = 2_000_000
_MAX_SIZE = 1 << 20
_MAX_MAPS = 64
_MAX_HEADER = 4096
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_NO_ONNX = "it is truncated or not an ONNX file"
AGAIN = "Export it again with: jzi export MODEL."
# Fields of messages by number.
_GRAPH, _OPSET, _METADATA, _TRAINING, _FUNCTIONS = 7, 8, 14, 20, 25
_NODE, _INITIALIZER, _SPARSE = 1, 5, 15
_OP_TYPE, _ATTRIBUTE, _DOMAIN = 4, 5, 7
_TENSOR, _SUBGRAPH, _TENSORS, _SUBGRAPHS = 5, 6, 10, 11
_EXTERNAL, _LOCATION = 13, 14
_KEY, _VALUE = 1, 2

Span = tuple[int, int]
"""Position of a value with a length: its first byte and the byte after its last."""


@dataclass(frozen=True)
class ExportHeader:
    """The model and encoder that an exported file belongs to.

    Args:
        model: Fingerprint of the model.
        config: SHA-256 of the model folder's config.json.
        weights: SHA-256 of its model.safetensors.
        pixels: Side of the images in pixels.
        width: Length of the vectors.
        part: The encoder of the model that the file holds.
        channels: Channels of its feature maps, the finest first; empty if it gives vectors only.
    """

    model: str
    config: str
    weights: str
    pixels: int
    width: int
    part: Part = "encoder"
    channels: tuple[int, ...] = ()

    def text(self) -> str:
        """Return the header as it is written in the file."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)


def read_header(path: Path) -> ExportHeader:
    """Check an ONNX file and return its header.

    Raises:
        ModelError: If it cannot be read, is truncated or too large, or was not made by `export_onnx`; or if it holds anything
            that an exported file never has: weights in other files, operators that are not ONNX's own, subgraphs, functions.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(path, "this is not a regular file", "Name the .onnx file, or the model folder that holds it.")
        if not 0 < status.st_size <= MAX_BYTES:
            raise ModelError(path, f"the file has {status.st_size} bytes; an ONNX file has 1 to {MAX_BYTES}", AGAIN)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            text = _Walk(path, content).model()
    except OSError as error:
        raise ModelError(path, f"it cannot be read ({error.strerror or error})",
                         "Name a readable .onnx file, or make it with: jzi export MODEL.") from error
    return _parse_header(path, text)


def _parse_header(path: Path, text: str) -> ExportHeader:
    try:
        values = json.loads(text)
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise ValueError(f'its "format" is not "{FORMAT}"')
        header = ExportHeader(**{**values, "channels": tuple(values.get("channels", ()))})
        for name in ("model", "config", "weights"):
            value = getattr(header, name)
            if not isinstance(value, str) or len(value) != 64 or set(value) - set("0123456789abcdef"):
                raise ValueError(f'"{name}" is not a SHA-256')
        if header.part not in get_args(Part) or len(header.channels) > _MAX_MAPS:
            raise ValueError('its "part" or "channels" do not belong to an encoder')
        for name, value in (("pixels", header.pixels), ("width", header.width), *(("channels", v) for v in header.channels)):
            if type(value) is not int or not 0 < value <= _MAX_SIZE:
                raise ValueError(f'"{name}" is not a size')
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelError(path, f"its header {HEADER_KEY!r} cannot be used ({printable(error, 120)})", AGAIN) from error
    return header


class _Walk:
    """A walk through a file that counts its fields."""

    def __init__(self, path: Path, content: mmap.mmap) -> None:
        self.path, self._content = path, content
        self._fields = 0

    def model(self) -> str:
        """Walk the complete file and return the text of our header."""
        header: str | None = None
        graphs = 0
        for number, value in self.fields((0, len(self._content))):
            if number == _GRAPH:
                graphs += 1
                self.graph(self.inner(value))
            elif number == _OPSET:
                self.domain(value)
            elif number == _METADATA:
                entry = dict(self.fields(self.inner(value)))
                if self.text(entry.get(_KEY)) == HEADER_KEY:
                    header = self.text(entry.get(_VALUE), _MAX_HEADER)
            elif number in {_TRAINING, _FUNCTIONS}:
                self.refuse("it holds functions or training steps")
        if header is None or graphs != 1:
            self.refuse("this is not an encoder that jzi export made")
        return header

    def domain(self, value: int | Span) -> None:
        """Refuse an operator set other than ONNX's own."""
        for number, inner in self.fields(self.inner(value)):
            if number == 1 and (name := self.text(inner)) not in {"", "ai.onnx"}:
                self.refuse(f"it uses operators of the set {name!r}")

    def graph(self, message: Span) -> None:
        """Walk operators and weights."""
        for number, value in self.fields(message):
            if number == _NODE:
                self.node(self.inner(value))
            elif number == _INITIALIZER:
                self.tensor(self.inner(value))
            elif number == _SPARSE:
                self.refuse("it holds sparse weights")

    def node(self, message: Span) -> None:
        """Walk an operator's attributes."""
        for number, value in self.fields(message):
            if number == _DOMAIN and (name := self.text(value)) not in {"", "ai.onnx"}:
                self.refuse(f"it uses an operator of the set {name!r}")
            elif number == _ATTRIBUTE:
                for inner_number, inner in self.fields(self.inner(value)):
                    if inner_number in {_TENSOR, _TENSORS}:
                        self.tensor(self.inner(inner))
                    elif inner_number in {_SUBGRAPH, _SUBGRAPHS}:
                        self.refuse("it holds loops or branches")
                    elif inner_number in {22, 23}:
                        self.refuse("it holds sparse weights")

    def tensor(self, message: Span) -> None:
        """Refuse a tensor whose values are in another file."""
        for number, value in self.fields(message):
            if number == _EXTERNAL or (number == _LOCATION and value != 0):
                self.refuse("its weights are in another file")

    def fields(self, message: Span) -> Iterator[tuple[int, int | Span]]:
        """Yield the numbers and values of a message's fields: whole numbers, or the positions of values with a length."""
        at, end = message
        while at < end:
            self._fields += 1
            if self._fields > _MAX_FIELDS:
                self.refuse(f"it has more than {_MAX_FIELDS} fields")
            key, at = self._varint(at, end)
            number, kind = key >> 3, key & 7
            value: int | Span
            if kind == _VARINT:
                value, at = self._varint(at, end)
            elif kind in {_BYTES, _FIXED64, _FIXED32}:
                size = 8 if kind == _FIXED64 else 4
                if kind == _BYTES:
                    size, at = self._varint(at, end)
                if size > end - at:
                    self.refuse(_NO_ONNX)
                value = (at, at + size)
                at += size
            else:
                self.refuse(_NO_ONNX)
            if number == 0:
                self.refuse(_NO_ONNX)
            yield number, value

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while at < end and shift < 70:
            byte = self._content[at]
            value |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                return value, at
        return self.refuse(_NO_ONNX)

    def inner(self, value: int | Span) -> Span:
        """Return the position of a nested message."""
        if isinstance(value, int):
            self.refuse(_NO_ONNX)
        return value

    def text(self, value: int | Span | None, limit: int = 200) -> str:
        """Return a short text; a text that is too long is cut."""
        if value is None:
            return ""
        start, end = self.inner(value)
        return self._content[start:min(end, start + limit)].decode("utf-8", "replace")

    def refuse(self, what: str) -> NoReturn:
        """Raise the error for a file that was not made by an export."""
        raise ModelError(self.path, printable(what), AGAIN)
