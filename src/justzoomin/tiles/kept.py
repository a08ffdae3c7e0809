"""Tiles of a server kept on disk: a fetched tile is not requested again."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

from justzoomin.errors import ConfigError
from justzoomin.files import cache_home, write_bytes, write_json
from justzoomin.tiles.source import TileId

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeptTile:
    """A tile, or its absence, as kept on disk.

    Args:
        content: The tile's file; None if the server said that there is no such tile.
        age_s: Seconds since the server said so.
    """

    content: bytes | None
    age_s: float


def tiles_home() -> Path:
    """Return the folder of kept tiles: `$JZI_HOME/tiles`, or `~/.cache/justzoomin/tiles`.

    Raises:
        ConfigError: If there is no home folder.
    """
    try:
        return cache_home() / "tiles"
    except RuntimeError as error:
        raise ConfigError("JZI_HOME", "there is no home folder to keep tiles in", "Set JZI_HOME to a folder.") from error


class KeptTiles:
    """The kept tiles of one server, in a folder named by a hash of all settings that decide about its tiles.

    A tile is stored in `<level>/<x>/<y>.tile`, written atomically; an empty file means that there is no such tile.
    If the folder cannot be written, nothing is kept and a warning is logged once.

    Args:
        identity: Everything that distinguishes one server's tiles from another's; it may hold secrets, only its hash is used.
        about: A description for people, written beside the tiles; it must not hold secrets.
        folder: A folder instead of `tiles_home()`.
    """

    def __init__(self, identity: str, about: dict[str, object], folder: Path | None = None) -> None:
        self._name = hashlib.sha256(identity.encode()).hexdigest()[:32]
        self._about, self._folder = about, folder
        self._warned = False

    @property
    def folder(self) -> Path:
        """The folder of this server's tiles."""
        return (self._folder or tiles_home()) / self._name

    def path(self, tile: TileId) -> Path:
        """Return the path of a tile's file."""
        return self.folder / str(tile.level) / str(tile.x) / f"{tile.y}.tile"

    def read(self, tile: TileId) -> KeptTile | None:
        """Return what is kept of a tile; None if nothing is."""
        path = self.path(tile)
        try:
            with path.open("rb") as file:
                content, changed = file.read(), os.fstat(file.fileno()).st_mtime
        except OSError:
            return None
        return KeptTile(content or None, max(0.0, time.time() - changed))

    def write(self, tile: TileId, content: bytes | None) -> None:
        """Keep a tile, or the fact that there is no such tile."""
        try:
            if not (self.folder / "server.json").exists():
                write_json(self._about, self.folder / "server.json")
            write_bytes(self.path(tile), content or b"")
        except OSError as error:
            if not self._warned:
                _LOG.warning("%s: tiles cannot be kept (%s); they will be fetched again", self.folder, error.strerror)
                self._warned = True

    def forget(self, tile: TileId) -> None:
        """Delete a tile that proved to be broken."""
        try:
            self.path(tile).unlink(missing_ok=True)
        except OSError as error:
            _LOG.warning("%s: the file cannot be removed (%s)", self.path(tile), error.strerror)
