"""Addresses of tiles: templates with placeholders, filled in for each tile, and shown without their secrets."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlsplit

from justzoomin.errors import ConfigError
from justzoomin.tiles.source import TileId

_PLACE = re.compile(r"\$\{(?P<shell>\w*)\}|\{env:(?P<env>\w*)\}|\{(?P<name>[^{}]*)\}")
_NAMES = {"z": "z", "zoom": "z", "tilematrix": "z", "x": "x", "tilecol": "x", "y": "y", "tilerow": "y", "-y": "-y",
          "quadkey": "quadkey", "q": "quadkey", "s": "s"}
"""Placeholders, by their lower-case names in XYZ, TMS, Bing and WMTS templates."""
_KNOWN = "{z} {x} {y}, {-y} (TMS), {quadkey}, {TileMatrix} {TileCol} {TileRow} (WMTS), {s} (subdomain), ${NAME} (environment)"
_EXAMPLE = "Write for example https://tiles.example.org/{z}/{x}/{y}.png."
_OPEN_KEYS = frozenset({"service", "request", "version", "layer", "layers", "style", "format", "tilematrixset", "tilematrix",
                        "tilerow", "tilecol", "x", "y", "z", "l", "lyrs", "zoom", "n"})
"""Keys of a query whose values are not secret: those of WMTS and of tile numbers."""
_LONG = re.compile(r"(?=[^/?#&=]*\d)(?=[^/?#&=]*[A-Za-z])[A-Za-z0-9_\-.~]{24,}")
"""A part of an address that may be a key: it is long and has letters and digits."""
HIDDEN = "***"
_OWN_KEY = re.compile(r"JZI_\w+_KEY")
"""Variables that a `layout.yaml` may name: this excludes settings of this program (JZI_HOME) and other programs' secrets."""
Variables = Literal["any", "own", "none"]
"""Variables that a template may name: any (typed by the user), JZI_..._KEY (a layout.yaml), none (written by a server)."""


@dataclass(frozen=True)
class UrlTemplate:
    """A checked template of tile addresses.

    Args:
        text: The template as given; secrets are written as `${NAME}` or `{env:NAME}`, names of environment variables.
        subdomains: The values of {s}, used in turn.
        variables: The environment variables that it may name.

    Raises:
        ConfigError: If it is not an http address, a placeholder is unknown or not allowed, or one is missing.
    """

    text: str
    subdomains: tuple[str, ...] = ("a", "b", "c")
    variables: Variables = "any"

    def __post_init__(self) -> None:
        where = f"tile server {self.masked()[:200]}"
        parts = urlsplit(self.text)
        if parts.scheme not in {"http", "https"} or not parts.netloc or len(self.text) > 4000 or re.search(r"\s", self.text):
            raise ConfigError(where, "it is not an http or https address", _EXAMPLE)
        if "@" in parts.netloc:
            raise ConfigError(where, "it holds a user name or password", "Move them to the file .netrc in your home folder.")
        found = set()
        for match in _PLACE.finditer(self.text):
            name = match["shell"] if match["shell"] is not None else match["env"]
            if name is None:
                found.add(self._known(match["name"], where))
            elif self.variables == "none":
                raise ConfigError(where, f"it names {name!r}, a variable of your environment",
                                  "A server's description may not use variables. If you trust it, type the address yourself.")
            elif not name or (self.variables == "own" and not _OWN_KEY.fullmatch(name)):
                raise ConfigError(where, f"it names {name!r}, a variable of your environment",
                                  "A layout.yaml may name only variables JZI_..._KEY, because others may have written it.")
        if re.search(r"[{}]", _PLACE.sub("", self.text)):
            raise ConfigError(where, "its braces do not match", _EXAMPLE)
        if _PLACE.search(parts.netloc.replace("{s}", "")):
            raise ConfigError(where, "its host has a placeholder", "Use no placeholder but {s} in the name of the host.")
        if "quadkey" not in found and not ({"z", "x"} <= found and found & {"y", "-y"}):
            raise ConfigError(where, "it does not say where zoom, x and y belong", f"Placeholders: {_KNOWN}.")
        if "s" in found and not (self.subdomains and all(re.fullmatch(r"[A-Za-z0-9\-]{1,63}", s) for s in self.subdomains)):
            raise ConfigError(where, "{s} has no valid subdomain to use", "Name subdomains such as a, b and c.")

    @property
    def needs_square(self) -> bool:
        """Whether tile numbers need the web mercator square, as {-y} and {quadkey} do."""
        return any(_NAMES.get((m["name"] or "").lower()) in {"-y", "quadkey"} for m in _PLACE.finditer(self.text))

    def url(self, tile: TileId, matrix: str | None = None) -> str:
        """Return the address of a tile with its secrets; never use it in messages.

        Args:
            tile: Its number.
            matrix: Name of its level on the server; None for the number.

        Raises:
            ConfigError: If an environment variable is not set.
        """
        return self._fill(self.text, tile, matrix, secrets=True)

    def shown(self, tile: TileId, matrix: str | None = None) -> str:
        """Return the address of a tile without secrets, for messages."""
        return self._fill(self.masked(), tile, matrix, secrets=False)

    def masked(self) -> str:
        """Return the template for messages and files: query values are hidden unless they are known to be harmless."""
        head, mark, query = self.text.partition("?")
        head = re.sub(r"//[^/@]*@", f"//{HIDDEN}@", head)
        host, slash, path = head.partition("://")[2].partition("/")
        head = f"{head.partition('://')[0]}://{host}{slash}{_mask(path)}" if "://" in head else _mask(head)
        pairs = []
        for pair in query.split("&") if mark else []:
            key, equals, value = pair.partition("=")
            harmless = key.lower() in _OPEN_KEYS or _PLACE.fullmatch(value)
            pairs.append(f"{key}{equals}{value if harmless or not equals else HIDDEN}")
        return head + mark + "&".join(pairs)

    def _known(self, name: str, where: str) -> str:
        if name.lower() not in _NAMES:
            raise ConfigError(where, f"unknown placeholder {{{name[:40]}}}", f"Placeholders: {_KNOWN}.")
        return _NAMES[name.lower()]

    def _fill(self, text: str, tile: TileId, matrix: str | None, *, secrets: bool) -> str:
        top = 2**max(tile.level, 0) - 1
        values = {"z": quote(matrix, safe=":") if matrix is not None else str(tile.level), "x": str(tile.x), "y": str(tile.y),
                  "-y": str(top - tile.y), "quadkey": _quadkey(tile),
                  "s": self.subdomains[(tile.x + tile.y) % len(self.subdomains)] if self.subdomains else ""}

        def value(match: re.Match[str]) -> str:
            if match["name"] is not None:
                return values.get(_NAMES.get(match["name"].lower(), ""), match[0])
            name = match["shell"] or match["env"] or ""
            if not secrets:
                return f"${{{name}}}"
            if name not in os.environ:
                raise ConfigError(f"tile server {self.masked()[:200]}", f"the environment variable {name} is not set",
                                  f"Set it: export {name}=your-key.")
            return quote(os.environ[name], safe="")

        return _PLACE.sub(value, text)


def rows_from_south(text: str) -> str:
    """Return a template with tile rows counted from the south: {y}, {Y} and {TileRow} become {-y}."""
    return _PLACE.sub(lambda match: "{-y}" if _NAMES.get((match["name"] or "").lower()) == "y" else match[0], text)


def mask_address(address: str) -> str:
    """Return an address without user, query and possible keys, for messages."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{_mask(parts.path)}"


def _mask(path: str) -> str:
    return _LONG.sub(HIDDEN, path)


def _quadkey(tile: TileId) -> str:
    """Return a tile's number in one word: a digit for each level, coarsest first, 1 for east plus 2 for south."""
    return "".join(str((tile.x >> k & 1) + 2 * (tile.y >> k & 1)) for k in reversed(range(max(tile.level, 0))))
