"""Bags of ROS 1 and ROS 2 (sqlite and MCAP), read without ROS: topics, messages, and clear words for what is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from justzoomin.errors import DataError, JustZoomInError, MissingExtraError
from justzoomin.untrusted import printable

BAG_ENDINGS = (".bag", ".db3", ".mcap")
"""Endings of the files of bags. A folder with a `metadata.yaml` is a bag, too."""
METADATA = "metadata.yaml"
MAX_MESSAGE_BYTES = 256 << 20
"""Larger messages are refused."""
_MAX_CHUNK_BYTES = 1 << 30
_LISTED = 20
_WHOLE = {".mcap": "Recover a recording that was cut off: mcap recover broken.mcap -o whole.mcap.",
          ".bag": "Recover a recording that was cut off: rosbag reindex broken.bag.",
          ".db3": "Recover a recording that was cut off: sqlite3 broken.db3 .recover | sqlite3 whole.db3."}


class Message(NamedTuple):
    """A message of a bag.

    Attributes:
        where: Bag, topic and number, for error texts.
        number: Its number within the topic, from 1.
        recorded_ns: When it was recorded, in nanoseconds since 1970.
        value: The message with its fields; the error of one that cannot be read.
    """

    where: str
    number: int
    recorded_ns: int
    value: Any


def is_bag(path: Path) -> bool:
    """Return whether a path looks like a bag: by its ending, or a folder with `metadata.yaml`."""
    return path.suffix.lower() in BAG_ENDINGS if not path.is_dir() else (path / METADATA).is_file()


class Bag:
    """An open bag; use it in a `with` statement.

    Args:
        path: File or folder of the bag.

    Raises:
        DataError: If it cannot be read.
        MissingExtraError: If the package rosbags is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            from rosbags.highlevel import AnyReader
            from rosbags.typesys import Stores, get_typestore
        except ImportError as error:
            raise MissingExtraError("rosbags", "robots") from error
        if not path.is_dir() and not path.is_file():
            raise DataError(path, "there is no such bag", "Give a .bag, .mcap or .db3 file, or a folder with metadata.yaml.")
        with self._words():
            # Bags of ROS 2 Humble and before hold no definitions; these messages have not changed since.
            self._reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE))

    def __enter__(self) -> Self:
        with self._words():
            self._reader.open()
            self._refuse_chunks()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._reader.close()

    @property
    def is_ros2(self) -> bool:
        """Whether it is a bag of ROS 2."""
        return bool(self._reader.is2)

    @property
    def typestore(self) -> Any:
        """The types of its messages."""
        return self._reader.typestore

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last message of all topics."""
        return float(self._reader.duration) / 1e9

    def connections(self) -> list[Any]:
        """Return all connections of the bag."""
        return list(self._reader.connections)

    def kind_of(self, topic: str) -> str | None:
        """Return the type of a topic's messages; None if there is no such topic."""
        return next((c.msgtype for c in self._reader.connections if c.topic == topic), None)

    def count(self, topic: str) -> int:
        """Return the number of messages that the bag states for a topic."""
        return sum(int(c.msgcount) for c in self._reader.connections if c.topic == topic)

    def require(self, topic: str, kinds: Sequence[str], option: str) -> str:
        """Return the type of a topic's messages.

        Args:
            topic: The topic.
            kinds: The types that can be used.
            option: Option that named the topic, for the error.

        Raises:
            DataError: If there is no such topic, or its messages have another type; the error lists the topics that fit.
        """
        kind = self.kind_of(topic)
        if kind in kinds:
            return str(kind)
        what = f"it has no topic {printable(topic, 100)}" if kind is None else \
            f"the messages of {printable(topic, 100)} are {printable(kind, 100)}"
        raise DataError(f"{self.path}, {option}", f"{what}. {self._topics(kinds)}", f"Give a topic of {' or '.join(kinds)}.")

    def images(self) -> str:
        """Return in words which topics there are, those of photos first."""
        return self._topics(("sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image"))

    def _topics(self, kinds: Sequence[str]) -> str:
        """Return in words which topics there are, those of some types first."""
        found = sorted({(c.msgtype not in kinds, str(c.topic), str(c.msgtype)) for c in self._reader.connections})
        if not found:
            return "The bag is empty"
        more = f" and {len(found) - _LISTED:,} more" if len(found) > _LISTED else ""
        return "Its topics: " + ", ".join(f"{printable(t, 100)} ({printable(k, 100)})" for _, t, k in found[:_LISTED]) + more

    def messages(self, topic: str) -> Iterator[Message]:
        """Yield the messages of a topic in the order of the recording; a message that cannot be read holds its error.

        Raises:
            DataError: If the bag is broken, so that no more messages can be read.
        """
        chosen = [c for c in self._reader.connections if c.topic == topic]
        rest, number = iter(self._reader.messages(connections=chosen) if chosen else ()), 0
        while True:
            number += 1
            where = f"{self.path}, {printable(topic, 100)}, message {number}"
            with self._words(f"{printable(topic, 100)}, after message {number - 1}"):
                found = next(rest, None)
            if found is None:
                return
            connection, recorded, raw = found
            yield Message(where, number, int(recorded), self._value(where, raw, connection.msgtype))

    def raw(self) -> Iterator[tuple[Any, int, bytes]]:
        """Yield connection, nanoseconds and bytes of every message of the bag in the order of the recording.

        Raises:
            DataError: If the bag is broken.
        """
        rest = iter(self._reader.messages())
        while True:
            with self._words():
                found = next(rest, None)
            if found is None:
                return
            yield found

    def _value(self, where: str, raw: bytes, kind: str) -> Any:
        if len(raw) > MAX_MESSAGE_BYTES:
            return DataError(where, f"it has {len(raw):,} bytes", f"Messages of up to {MAX_MESSAGE_BYTES:,} bytes are read.")
        try:
            return self._reader.deserialize(raw, kind)
        except Exception as error:  # rosbags raises many kinds over broken messages
            return DataError(where, f"it is not a message of the type {printable(kind, 100)} ({_reason(error)})",
                             "Record it again, or leave the topic out.")

    def _refuse_chunks(self) -> None:
        """Refuse a bag whose parts are too large for the memory, before one is decompressed."""
        for reader in self._reader.readers:
            storage = getattr(reader, "storage", None)
            for inner in getattr(storage, "storages", None) or [storage]:
                for chunk in getattr(inner, "chunks", ()):
                    if chunk.uncompressed_size > _MAX_CHUNK_BYTES:
                        raise DataError(self.path, f"it has a chunk of {chunk.uncompressed_size:,} bytes",
                                        f"Chunks of up to {_MAX_CHUNK_BYTES:,} bytes are read.")

    @contextlib.contextmanager
    def _words(self, part: str = "") -> Iterator[None]:
        """Turn whatever rosbags raises over a broken bag into an error that names it."""
        try:
            yield
        except JustZoomInError:
            raise
        except Exception as error:
            where = f"{self.path}, {part}" if part else str(self.path)
            raise DataError(where, f"the bag is broken or incomplete ({_reason(error)})",
                            _WHOLE.get(self.path.suffix.lower(), "Record it again.")) from error


def _reason(error: Exception) -> str:
    return printable(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__, 200).rstrip(".")
