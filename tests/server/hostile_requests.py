"""Requests that nobody sends by accident, as bytes: drawn from a seed, for every route that the service describes."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from hostile_words import HEADERS, HOSTS, JSONS, METHODS, PATHS, PLACES, TEXTS

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "fuzz")]

from fuzz_mutations import WORDS, mutate  # noqa: E402
from fuzz_seeds import drive_times, pictures, polygons, weight_pictures, weight_rasters  # noqa: E402

EDGE = "edge"


class Hostile(NamedTuple):
    """A request.

    Attributes:
        kind: What is wrong with it.
        data: Its bytes.
    """

    kind: str
    data: bytes


class Hostiles:
    """Hostile requests for a service.

    Args:
        paths: The `paths` of its OpenAPI description.
        photo: A photo that it can use.
        ids: Ids of its sessions and jobs that exist.
    """

    def __init__(self, paths: Mapping[str, Mapping[str, Any]], photo: bytes, ids: Sequence[str] = ()) -> None:
        self.photo, self.ids = photo, tuple(ids)
        self.routes = [
            (method.upper(), path, told) for path, methods in sorted(paths.items()) for method, told in sorted(methods.items())
        ]
        self.forms = [path for method, path, told in self.routes if "multipart/form-data" in _content(told)]
        self._kinds: tuple[Callable[[random.Random], bytes], ...] = (
            self.photos,
            self.priors,
            self.fields,
            self.forms_broken,
            self.heads_broken,
            self.routes_filled,
            self.routes_filled,
            self.json_bodies,
            self.headers,
            self.paths,
            self.chunks,
            self.many_parts,
        )

    def draw(self, seed: int) -> Hostile:
        """Return the request of a seed."""
        dice = random.Random(seed)
        kind = self._kinds[seed % len(self._kinds)]
        return Hostile(kind.__name__, kind(dice))

    def photos(self, dice: random.Random) -> bytes:
        """Damaged photos, under strange names."""
        parts = [
            (
                "photos",
                dice.choice(("a.jpg", "", "../../x.jpg", "\u202e.png", "a" * 3000, "C:\\x", ".", "con")),
                _damaged(dice, [*pictures(), self.photo]),
            )
            for _ in range(dice.choice((1, 1, 1, 3)))
        ]
        path = dice.choice([path for path in self.forms if path != "/v1/jobs" or dice.random() < 0.1] or ["/v1/localize"])
        if path.endswith("sessions"):
            parts = [("photo", *part[1:]) for part in parts]
        return _post(path, _form(parts))

    def priors(self, dice: random.Random) -> bytes:
        """Damaged priors beside a good photo."""
        which = dice.randrange(4)
        part = (
            ("prior_polygon", None, _damaged(dice, polygons())),
            ("prior_raster", "w.npy", _damaged(dice, weight_pictures())),
            ("prior_raster", "w.tif", _damaged(dice, weight_rasters())),
            ("times", "times.csv", _damaged(dice, drive_times())),
        )[which]
        return _post(
            "/v1/track" if which == 3 and dice.random() < 0.9 else "/v1/localize",
            _form([("photos", "a.jpg", self.photo), part]),
        )

    def fields(self, dice: random.Random) -> bytes:
        """Strange values of fields."""
        path, told = dice.choice([(path, told) for _, path, told in self.routes if path in self.forms])
        names = [*_properties(told), "unknown", "photos"]
        parts: list[tuple[str, str | None, bytes]] = [("photo" if path.endswith("sessions") else "photos", "a.jpg", self.photo)]
        for _ in range(dice.choice((1, 1, 2, 5))):
            parts.append(
                (dice.choice(names), dice.choice((None, None, "f.bin")), dice.choice(TEXTS).encode("utf-8", "replace"))
            )
        dice.shuffle(parts)
        return _post(path, _form(parts))

    def forms_broken(self, dice: random.Random) -> bytes:
        """Multipart bodies that are damaged, cut or lie, with their true length."""
        words = [
            b"--edge",
            b"\r\n--edge\r\n",
            b"--edge--",
            b"\r\n",
            b'Content-Disposition: form-data; name="photos"; filename="x"\r\n\r\n',
            b"Content-Type: multipart/mixed; boundary=edge\r\n",
            b"Content-Transfer-Encoding: base64\r\n",
            b"name*=utf-8''%ff",
            b"; filename*=x''%00",
            b"Content-Disposition: " + b"x" * 9000,
            b"X: y\r\n" * 400,
            b'name=""',
            b'name="' + b"n" * 5000 + b'"',
        ]
        seed = _form([("photos", "a.jpg", pictures()[0]), ("heading", None, b"90"), ("prior_circle", None, b"54.5,3.0,100")])
        body = mutate([seed], words, 0, _steps(dice))
        kind = dice.choice(
            ("multipart/form-data; boundary=edge",) * 6
            + (
                "multipart/form-data",
                "multipart/form-data; boundary=",
                "multipart/form-data; boundary=" + "e" * 300,
                'multipart/form-data; boundary="',
                "multipart/form-data; boundary=\xff",
                "multipart/mixed; boundary=edge",
                "application/x-www-form-urlencoded",
                "text/plain",
                "",
                "multipart/form-data; boundary=edge; boundary=x",
                "multipart/form-data; charset=utf-7; boundary=edge",
            )
        )
        return _post(dice.choice(self.forms), body, kind)

    def heads_broken(self, dice: random.Random) -> bytes:
        """Requests whose bytes are damaged anywhere: they may never end."""
        good = _post("/v1/localize", _form([("photos", "a.jpg", pictures()[0])]))
        return mutate(
            [good, _head("GET", "/v1/map") + b"\r\n"],
            [b"HTTP/9.9", b"\r\n\r\n", b" ", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"],
            dice.randrange(2),
            _steps(dice),
        )

    def routes_filled(self, dice: random.Random) -> bytes:
        """Every described route with strange places and queries."""
        method, path, told = dice.choice(self.routes)
        filled = re.sub(r"\{[^}]*\}", lambda _: self._place(dice), path)
        names = [one["name"] for one in told.get("parameters", ()) if one.get("in") == "query"] or ["x"]
        query = "&".join(
            f"{dice.choice(names)}={quote(dice.choice(TEXTS), safe='', errors='replace')[:4000]}"
            for _ in range(dice.choice((0, 1, 1, 2, 4)))
        )
        method = method if dice.random() < 0.8 else dice.choice(METHODS)
        body = _form([("photos", "a.jpg", self.photo)]) if method == "POST" and dice.random() < 0.5 else b""
        return _head(method, f"{filled}?{query}" if query else filled) + _body(body, "multipart/form-data; boundary=edge")

    def json_bodies(self, dice: random.Random) -> bytes:
        """Strange JSON for routes that take a body."""
        path = re.sub(
            r"\{[^}]*\}",
            lambda _: self._place(dice),
            dice.choice(
                [path for method, path, told in self.routes if "application/json" in _content(told)] * 3
                + ["/v1/localize", "/v1/map"]
            ),
        )
        text = dice.choice(JSONS)
        if dice.random() < 0.3:
            steps = _steps(dice)
            body = mutate([one.encode("latin-1", "replace") for one in JSONS[14:30]], WORDS, dice.randrange(16), steps)
        else:
            body = text.encode("latin-1", "replace")
        return _head("POST", path) + _body(
            body, dice.choice(("application/json",) * 4 + ("text/plain", "application/json; charset=utf-7", ""))
        )

    def headers(self, dice: random.Random) -> bytes:
        """Strange headers."""
        method, path, _ = dice.choice(self.routes)
        chosen = "\r\n".join(dice.choice(HEADERS) for _ in range(dice.choice((1, 1, 2, 6))))
        body = _form([("photos", "a.jpg", pictures()[0])]) if method == "POST" else b""
        return _head(method, re.sub(r"\{[^}]*\}", "0", path), dice.choice(HOSTS[:3] * 3 + HOSTS), chosen) + _body(
            body, "multipart/form-data; boundary=edge"
        )

    def paths(self, dice: random.Random) -> bytes:
        """Strange paths and methods."""
        return _head(dice.choice(METHODS), dice.choice(PATHS)) + _body(b"", "")

    def chunks(self, dice: random.Random) -> bytes:
        """Chunked bodies with strange sizes."""
        body = _form([("photos", "a.jpg", pictures()[0])])
        cut = dice.randrange(len(body))
        good = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:cut], body[cut:]) if part) + b"0\r\n\r\n"
        chunked = dice.choice(
            (
                good,
                mutate(
                    [good], [b"ffffffffffffffff\r\n", b"-1\r\n", b"0\r\n\r\n", b"5;x=" + b"y" * 9000 + b"\r\n"], 0, _steps(dice)
                ),
                good[:-5],
                good[:-2] + b"Trailer: " + b"x" * 9000 + b"\r\n\r\n",
                b"1\r\nx\r\n" * 2000 + b"0\r\n\r\n",
                good + b"GET / HTTP/1.1\r\n\r\n",
                b"zz\r\n",
            )
        )
        more = dice.choice(("", "", "", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"))
        return _head("POST", dice.choice(self.forms)) + (
            f"{more}Transfer-Encoding: chunked\r\nContent-Type: multipart/form-data; boundary=edge\r\n\r\n".encode() + chunked
        )

    def many_parts(self, dice: random.Random) -> bytes:
        """Very many or nested parts."""
        which = dice.randrange(5)
        if which == 0:
            parts: list[tuple[str, str | None, bytes]] = [("photos", "a.jpg", pictures()[0])] * dice.choice((65, 300, 1001))
        elif which == 1:
            parts = [(f"f{number}", None, b"x") for number in range(dice.choice((60, 1200)))]
        elif which == 2:
            parts = [("photos", None, self.photo), ("photos", "a.jpg", self.photo)]
        elif which == 3:
            parts = [("photos", "a.jpg", _form([("photos", "b.jpg", self.photo)])), ("prior_raster", None, b"x")]
        else:
            parts = [("photos", "a.jpg", self.photo), ("prior_polygon", None, b"[" * dice.choice((10_000, 3_000_000)))]
        return _post(dice.choice(self.forms), _form(parts))

    def _place(self, dice: random.Random) -> str:
        if self.ids and dice.random() < 0.6:
            return dice.choice(self.ids)
        return quote(dice.choice(PLACES), safe="%/@.", errors="replace")


def _damaged(dice: random.Random, seeds: Sequence[bytes]) -> bytes:
    return mutate(list(seeds), (), dice.randrange(256), _steps(dice))


def _steps(dice: random.Random) -> list[tuple[int, int, int]]:
    return [(dice.randrange(12), dice.randrange(1 << 32), dice.randrange(1 << 32)) for _ in range(dice.randrange(1, 5))]


def _content(told: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = told.get("requestBody", {}).get("content", {})
    return found


def _properties(told: Mapping[str, Any]) -> list[str]:
    schema = _content(told).get("multipart/form-data", {}).get("schema", {})
    return [*schema.get("properties", {}), "heading", "fov", "search", "decision", "prior_circle", "corrections"]


def _form(parts: Sequence[tuple[str, str | None, bytes]]) -> bytes:
    found = b""
    for name, file, content in parts:
        more = "" if file is None else f'; filename="{file}"'
        found += (
            f'--{EDGE}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode("utf-8", "replace")
            + content
            + b"\r\n"
        )
    return found + f"--{EDGE}--\r\n".encode()


def _post(path: str, body: bytes, kind: str = f"multipart/form-data; boundary={EDGE}") -> bytes:
    return _head("POST", path) + _body(body, kind)


def _head(method: str, path: str, host: str = "localhost", more: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more + chr(13) + chr(10) if more else ''}".encode(
        "latin-1", "replace"
    )


def _body(body: bytes, kind: str) -> bytes:
    if not body:
        return b"\r\n"
    return f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode("latin-1", "replace") + body
