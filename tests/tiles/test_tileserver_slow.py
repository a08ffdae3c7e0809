"""Servers that promise more than they send, send a byte at a time, or lead into a private network: the work ends, in words."""

import contextlib
import io
import socket
import threading
import time

import pytest
from PIL import Image

from justzoomin.errors import ConfigError, TileError
from justzoomin.tiles import ServerSource, TileId, TileServer, watchedhttp
from justzoomin.tiles import fetch as tilefetch

TILE = TileId(17, 5, 5)
ENDLESS = 30.0
"""Seconds for which the servers here continue: far more than any test waits."""


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    pace = tilefetch.Pace(sleep=lambda _: None)
    monkeypatch.setattr(tilefetch, "shared_pace", lambda: pace)


def png(size=256):
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), (9, 80, 200)).save(buffer, "PNG")
    return buffer.getvalue()


class RawServer:
    """A server that answers every request with pieces of bytes, each after a pause, and then holds the connection."""

    def __init__(self, pieces, host="127.0.0.1", hold=True):
        self.asked, self._pieces, self._hold, self._over = 0, pieces, hold, threading.Event()
        self._socket = socket.create_server((host, 0))
        self.address = f"http://{host}:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._answer, args=(self._socket.accept()[0],), daemon=True).start()

    def _answer(self, connection):
        with contextlib.suppress(OSError), connection:
            self.asked += bool(connection.recv(65536))
            for pause, content in self._pieces():
                if self._over.wait(pause):
                    return
                connection.sendall(content)
            if self._hold:
                self._over.wait(ENDLESS)

    def close(self):
        self._over.set()
        self._socket.close()


def drip(content, pause=0.03):
    yield from ((pause, content[k:k + 1]) for k in range(len(content)))


def slow_headers():
    yield 0.0, b"HTTP/1.1 200 OK\r\n"
    yield from drip(b"X-Slow: " + b"a" * 5000)


def slow_body():
    yield 0.0, b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
    yield from drip(b"a" * 5000)


def unkept_promise():
    content = png()
    yield 0.0, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(content) + 100) + content


@pytest.mark.parametrize(("pieces", "settings", "words"), [
    (slow_headers, {}, r"no complete answer within 0\.4 s \(its bytes arrive too slowly, tried once\)\..*--tile-seconds"),
    (slow_body, {}, r"no complete answer within 0\.4 s \(its bytes arrive too slowly, tried once\)\..*--tile-seconds"),
    (unkept_promise, {}, r"no complete answer within 0\.4 s \(its bytes arrive too slowly"),
    (unkept_promise, {"timeout_s": 0.35, "tile_limit_s": 1.2},
     r"within 1\.2 s \(the answer of \d+ bytes stops before its end, tried [2-4] times\)\."),
    (unkept_promise, {"timeout_s": 0.05, "retries": 1, "tile_limit_s": 20.0},
     r"the answer of \d+ bytes stops before its end, tried 2 times"),
])
def test_a_tile_has_its_time_and_no_more(pieces, settings, words):
    server = RawServer(pieces)
    try:
        settings = {"tile_limit_s": 0.4, "timeout_s": 5.0, **settings}
        source = ServerSource(TileServer(server.address + "/{z}/{x}/{y}", **settings))
        began = time.monotonic()
        with pytest.raises(TileError, match=words) as caught:
            source.read(TILE)
        assert time.monotonic() - began < ENDLESS / 2
        assert caught.value.where.startswith(server.address)
    finally:
        server.close()


def test_a_whole_answer_in_small_pieces_is_a_tile():
    content = png()
    server = RawServer(lambda: [(0.0, b"HTTP/1.1 200 OK\r\nContent-"), (0.02, b"Length: %d\r\n\r\n" % len(content)),
                                (0.02, content[:7]), (0.02, content[7:])])
    try:
        assert ServerSource(TileServer(server.address + "/{z}/{x}/{y}")).read(TILE) == content
    finally:
        server.close()


def test_an_answer_without_length_and_bytes_is_not_taken_for_an_empty_tile():
    server = RawServer(lambda: [(0.0, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")], hold=False)
    try:
        with pytest.raises(TileError, match="closes the connection without a byte, tried 2 times"):
            ServerSource(TileServer(server.address + "/{z}/{x}/{y}", retries=1)).read(TILE)
    finally:
        server.close()


def test_a_run_has_its_time(monkeypatch):
    now = [0.0]
    pace = tilefetch.Pace(clock=lambda: now[0], sleep=lambda _: None)
    server = RawServer(lambda: [(0.0, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")], hold=False)
    try:
        source = ServerSource(TileServer(server.address + "/{z}/{x}/{y}", run_limit_s=7200.0), pace)
        for hours in (0.0, 1.0, 2.0):
            now[0] = hours * 3600
            assert source.read(TileId(17, int(hours), 0)) is None
        now[0] += 1.0
        with pytest.raises(TileError, match=r"takes longer than 2 hours.*Run it again: fetched tiles are kept.*--max-hours"):
            source.read(TILE)
        assert source.read(TileId(17, 0, 0)) is None, "what is kept needs no time"
        assert server.asked == 3
    finally:
        server.close()
    with pytest.raises(ConfigError, match="tile_limit_s"):
        TileServer("https://example.org/{z}/{x}/{y}", tile_limit_s=0.0)


def led(target):
    return lambda: [(0.0, f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())]


def test_a_server_on_the_internet_does_not_lead_into_a_private_network(monkeypatch):
    """What the name resolves to decides, once the connection is made; nothing is asked there."""
    content = png()
    inside = RawServer(lambda: [(0.0, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)])
    outside = RawServer(led(inside.address + "/secret"), host="127.0.0.2")
    further = RawServer(led(outside.address + "/again"), host="127.0.0.3")
    try:
        monkeypatch.setattr(watchedhttp, "is_private", lambda address: address == "127.0.0.1")
        for first in (outside, further):
            with pytest.raises(TileError, match=r"from the internet to http://127\.0\.0\.1:\d+/secret in a private network"):
                ServerSource(TileServer(first.address + "/{z}/{x}/{y}")).read(TILE)
        assert inside.asked == 0
        assert ServerSource(TileServer(inside.address + "/{z}/{x}/{y}")).read(TILE) == content, "typed by the user"
        monkeypatch.setattr(watchedhttp, "is_private", lambda _: True)
        assert ServerSource(TileServer(outside.address + "/a/{z}/{x}/{y}")).read(TILE) == content, "within a private network"
    finally:
        for server in (inside, outside, further):
            server.close()


@pytest.mark.parametrize(("address", "private"), [
    ("127.0.0.1", True), ("10.1.2.3", True), ("192.168.0.1", True), ("172.16.5.5", True), ("169.254.169.254", True),
    ("100.64.0.1", True), ("0.0.0.0", True), ("::1", True), ("fe80::1%eth0", True),
    ("fc00::1", True),
    ("::ffff:10.0.0.1", True), ("what?", True), ("8.8.8.8", False), ("2606:4700::1111", False), ("::ffff:8.8.8.8", False)])
def test_private_addresses(address, private):
    assert watchedhttp.is_private(address) == private
