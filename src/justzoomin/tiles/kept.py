"""Tiles of a server kept on disk: what was fetched once is not asked for again."""

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
    """What the disk knows of a tile.

    Args:
        content: Its file; None where the server said that there is none.
        age_s: Seconds since the server said so.
    """

    content: bytes | None
    age_s: float


def tiles_home() -> Path:
    """The folder of kept tiles: `$JZI_HOME/tiles`, or `~/.cache/justzoomin/tiles`.

    Raises:
        ConfigError: If there is no home folder.
    """
    try:
        return cache_home() / "tiles"
    except RuntimeError as error:
        raise ConfigError("JZI_HOME", "there is no home folder to keep tiles in", "Set JZI_HOME to a folder.") from error


class KeptTiles:
    """The kept tiles of one server; a folder per server, named by a hash of all that decides about its tiles.

    A tile lies in `<level>/<x>/<y>.tile`, written atomically; an empty file remembers that there is none.
    Where the folder cannot be written, nothing is kept and a warning is logged once.

    Args:
        identity: Everything that makes one server's tiles others than another's; may hold secrets, only its hash is used.
        about: What to write beside the tiles, for people; must hold no secret.
        folder: A folder instead of `tiles_home()`.
    """

    def __init__(self, identity: str, about: dict[str, object], folder: Path | None = None) -> None:
        self._name = hashlib.sha256(identity.encode()).hexdigest()[:32]
        self._about, self._folder = about, folder
        self._warned = False

    @property
    def folder(self) -> Path:
        """Where the tiles lie."""
        return (self._folder or tiles_home()) / self._name

    def path(self, tile: TileId) -> Path:
        """The file of a tile."""
        return self.folder / str(tile.level) / str(tile.x) / f"{tile.y}.tile"

    def read(self, tile: TileId) -> KeptTile | None:
        """What is known of a tile; None where nothing is."""
        path = self.path(tile)
        try:
            with path.open("rb") as file:
                content, changed = file.read(), os.fstat(file.fileno()).st_mtime
        except OSError:
            return None
        return KeptTile(content or None, max(0.0, time.time() - changed))

    def write(self, tile: TileId, content: bytes | None) -> None:
        """Keep a tile, or that there is none."""
        try:
            if not (self.folder / "server.json").exists():
                write_json(self._about, self.folder / "server.json")
            write_bytes(self.path(tile), content or b"")
        except OSError as error:
            if not self._warned:
                _LOG.warning("%s: tiles cannot be kept (%s); they will be fetched again", self.folder, error.strerror)
                self._warned = True

    def forget(self, tile: TileId) -> None:
        """Drop a tile that proved to be broken."""
        try:
            self.path(tile).unlink(missing_ok=True)
        except OSError as error:
            _LOG.warning("%s: it cannot be removed (%s)", self.path(tile), error.strerror)
